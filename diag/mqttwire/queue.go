package mqttwire

import "sync"

// Bounds on received messages that nobody has taken yet.
const (
	queueMessages = 16384
	queueBytes    = 16 << 20
)

// queue hands received messages to whoever reads the channel, and bounds what waits by number and by bytes: a channel
// alone would bound only the number, and a peer chooses the size.
type queue struct {
	out  chan Received
	wake chan struct{} // one token: something changed
	stop chan struct{} // closed by end(true): nobody reads any more

	mu      sync.Mutex
	waiting []Received
	bytes   int
	dropped int
	ended   bool
	stopped bool
}

func newQueue() *queue {
	return &queue{out: make(chan Received), wake: make(chan struct{}, 1), stop: make(chan struct{})}
}

func (r Received) size() int { return len(r.Topic) + len(r.Payload) + 128 }

// put adds a message, or counts it as dropped.
func (q *queue) put(m Received) {
	q.mu.Lock()
	if q.ended || len(q.waiting) >= queueMessages || q.bytes+m.size() > queueBytes {
		q.dropped++
	} else {
		q.waiting = append(q.waiting, m)
		q.bytes += m.size()
	}
	q.mu.Unlock()
	q.poke()
}

func (q *queue) poke() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// end lets run hand out what is there and return; with now it returns at once.
func (q *queue) end(now bool) {
	q.mu.Lock()
	q.ended = true
	if now && !q.stopped {
		q.stopped = true
		close(q.stop)
	}
	q.mu.Unlock()
	q.poke()
}

// run moves messages to the channel until the queue is ended, and closes the channel.
func (q *queue) run() {
	defer close(q.out)
	for {
		q.mu.Lock()
		ended, left := q.ended, len(q.waiting)
		var m Received
		if left > 0 {
			m = q.waiting[0]
			q.waiting[0] = Received{} // let go of its payload
			q.waiting = q.waiting[1:]
			q.bytes -= m.size()
		}
		q.mu.Unlock()
		if left > 0 {
			select {
			case q.out <- m:
			case <-q.stop:
				return
			}
			continue
		}
		if ended {
			return
		}
		select {
		case <-q.wake:
		case <-q.stop:
			return
		}
	}
}

func (q *queue) drops() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropped
}
