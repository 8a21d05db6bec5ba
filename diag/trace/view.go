package trace

import (
	"context"
	"errors"
	"io"
	"sort"
	"strconv"
	"time"
)

// ErrAhead says that a viewer claims to have seen packets that have not passed.
var ErrAhead = errors.New("trace: no such packet yet")

// Viewer reads a recorder's packets in order. It is for one goroutine.
type Viewer struct {
	r     *Recorder
	after uint64
	next  time.Time // not before that
}

// View returns a viewer of the packets with a number greater than after. The error is ErrAhead.
func (r *Recorder) View(after uint64) (*Viewer, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if after > r.seq {
		return nil, ErrAhead
	}
	return &Viewer{r: r, after: after}, nil
}

// Last is the number of the newest packet or event.
func (r *Recorder) Last() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seq
}

// Batch is what a viewer gets at once.
type Batch struct {
	// Lost is how many packets before the first of these are gone: they were forgotten before they were asked for, or their
	// beginning was. LostUpTo is the number of the last of them.
	Lost, LostUpTo uint64
	Packets        []Packet
}

// Next waits for packets and returns at most a few hundred; io.EOF when the recorder is closed and all was seen.
func (v *Viewer) Next(ctx context.Context) (Batch, error) {
	if err := sleepUntil(ctx, v.next); err != nil {
		return Batch{}, err
	}
	for {
		batch, ended := v.take(batchPackets, batchBytes)
		if batch.Lost > 0 || len(batch.Packets) > 0 {
			v.next = time.Now().Add(batchPause)
			return batch, nil
		}
		if ended {
			return Batch{}, io.EOF
		}
		wake := v.r.awaitNews(v.after)
		if wake == nil {
			continue
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return Batch{}, ctx.Err()
		}
	}
}

func sleepUntil(ctx context.Context, at time.Time) error {
	wait := time.Until(at)
	if wait <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// awaitNews returns a channel that is closed when there is something behind after; nil: there is, or nothing more will come.
func (r *Recorder) awaitNews(after uint64) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.seq > after {
		return nil
	}
	r.waiting = true
	return r.wake
}

// All returns everything that is kept, decoded.
func (r *Recorder) All() Batch {
	v := &Viewer{r: r}
	var all Batch
	for until := r.Last(); v.after < until; {
		batch, _ := v.take(maxPackets, 2*maxBytes)
		if batch.Lost == 0 && len(batch.Packets) == 0 {
			break
		}
		if len(all.Packets) == 0 {
			all.LostUpTo = max(all.LostUpTo, batch.LostUpTo)
		}
		all.Lost += batch.Lost
		all.Packets = append(all.Packets, batch.Packets...)
	}
	return all
}

// take returns the next packets, at most limit and about so many bytes, and whether nothing more will come.
func (v *Viewer) take(limit, bytes int) (Batch, bool) {
	var batch Batch
	for len(batch.Packets) < limit && bytes > 0 {
		records, ended := v.r.from(v.after, limit-len(batch.Packets))
		if len(records) == 0 {
			return batch, ended
		}
		for _, rec := range records {
			last := rec.first + uint64(rec.size()) - 1
			expected := v.after + 1
			for _, p := range rec.packets {
				if p.Seq < expected {
					continue // seen
				}
				if len(batch.Packets) >= limit || bytes <= 0 { // the record has more
					return batch, false
				}
				if p.Seq > expected {
					if len(batch.Packets) > 0 {
						return batch, false // the gap begins the next batch
					}
					batch.Lost, batch.LostUpTo = p.Seq-expected, p.Seq-1
				}
				batch.Packets = append(batch.Packets, p)
				v.after, expected = p.Seq, p.Seq+1
				bytes -= len(p.raw)
			}
			if last >= expected { // the rest of the record is lost
				if len(batch.Packets) > 0 {
					return batch, false
				}
				batch.Lost, batch.LostUpTo = batch.Lost+last-v.after, last
				v.after = last
				return batch, false
			}
		}
	}
	return batch, false
}

// from returns decoded records that hold packets behind after, at least one unless there is none, and about limit packets.
func (r *Recorder) from(after uint64, limit int) (records []record, ended bool) {
	r.decode.Lock()
	defer r.decode.Unlock()
	r.mu.Lock()
	ended = r.closed
	start := sort.Search(len(r.ring), func(i int) bool { return r.ring[i].first+uint64(r.ring[i].size()) > after+1 })
	if start == len(r.ring) {
		r.mu.Unlock()
		return nil, ended
	}
	stop, count := start, 0
	for ; stop < len(r.ring) && count < limit; stop++ {
		count += r.ring[stop].size()
	}
	// Everything up to there is decoded in order: the checker must see all of it.
	begin := min(start, int(max(r.decoded+1, r.base)-r.base))
	todo := append([]record(nil), r.ring[begin:stop]...)
	heads := make([][2][]byte, len(todo))
	for i := range todo {
		heads[i] = todo[i].conn.heads
		if todo[i].page != nil {
			todo[i].page.lent = true
		}
	}
	number := r.base + uint64(begin)
	r.mu.Unlock()

	for i := range todo {
		if rec := &todo[i]; !rec.done {
			rec.packets, rec.done = decodeRecord(rec, heads[i]), true
			r.decoded = number + uint64(i)
		}
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range todo {
		if n := number + uint64(i); n >= r.base { // else it was forgotten meanwhile
			kept := &r.ring[n-r.base]
			kept.done, kept.packets = true, todo[i].packets
		}
	}
	return todo[start-begin:], false
}

func itoa(n int) string { return strconv.Itoa(n) }
