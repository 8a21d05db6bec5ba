package trace

import (
	"errors"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/mqttwire"
)

// Packet is one packet or event as it was recorded and judged. It is not changed.
type Packet struct {
	Seq  uint64
	At   time.Time
	Conn int
	Dir  mqttwire.Direction // empty for an event
	// Event is set for an event, and then nothing below is.
	Event *Event

	Version   mqttwire.Version // that holds on the connection; 0: unknown
	raw       []byte
	header    int
	Length    int // bytes of the whole packet
	Truncated bool
	broken    bool // no packet: the stream makes no sense from here on
	// hidden: the client has sent no CONNECT that could be read, so that its password may stand anywhere.
	hidden   bool
	Warnings []Warning
	Answers  uint64 // number of the packet that this one answers; 0: none
	Took     time.Duration
}

// frame is the packet as mqttwire takes it.
func (p *Packet) frame() mqttwire.Frame { return frameOf(p.raw, p.header, p.At) }

func frameOf(raw []byte, header int, at time.Time) mqttwire.Frame {
	return mqttwire.Frame{Type: mqttwire.PacketType(raw[0] >> 4), Flags: raw[0] & 0x0f, Body: raw[header:], Raw: raw, At: at}
}

// decoder is the state of one connection's decoding.
type decoder struct {
	next       uint64 // index of the record that is to come
	assemblers [2]assembler
	checker    *checker
	// echoes are what the broker may not say of the client's secrets: set by its CONNECT.
	echoes diag.Echoes
}

// decodeRecord decodes one record. Those of a connection come in order; some may be gone.
func decodeRecord(rec *record, heads [2][]byte) []Packet {
	if rec.event != nil {
		return []Packet{{Seq: rec.first, At: rec.at, Conn: rec.conn.number, Event: rec.event}}
	}
	c := rec.conn
	if c.state == nil {
		c.state = &decoder{checker: newChecker()}
	}
	d := c.state
	if rec.index != d.next {
		if d.next == 0 {
			d.learn(heads)
		}
		d.checker.missed()
		for i := range d.assemblers {
			d.assemblers[i] = assembler{lost: true}
		}
	}
	d.next = rec.index + 1
	cuts, skipped := d.assemblers[rec.dir].feed(rec.data, rec.walk)
	packets := make([]Packet, 0, len(cuts))
	for i, cut := range cuts {
		p := Packet{Seq: rec.first + uint64(skipped+i), At: rec.at, Conn: c.number, Dir: mqttwire.Out, raw: cut.raw, header: cut.header,
			Length: cut.length, Truncated: cut.truncated, broken: cut.broken}
		if rec.dir == in {
			p.Dir = mqttwire.In
			p.raw, _ = d.echoes.Bytes(p.raw)
		}
		d.judge(&p, rec.dir)
		packets = append(packets, p)
	}
	return packets
}

// learn reads the beginning of a connection whose first records are gone: what was agreed on in CONNECT and CONNACK.
func (d *decoder) learn(heads [2][]byte) {
	for dir, head := range heads {
		header, remaining, broken := fixedHeader(head)
		if header == 0 || broken || len(head) < header+remaining {
			continue
		}
		p := Packet{raw: head[:header+remaining], header: header, Length: header + remaining}
		d.judge(&p, dir)
	}
}

// judge decodes a packet and asks the checker.
func (d *decoder) judge(p *Packet, dir int) {
	p.Version = d.checker.version
	defer func() { p.hidden = dir == out && d.checker.version == 0 }()
	if p.broken {
		breach := &mqttwire.ErrMalformed{Type: mqttwire.PacketType(p.raw[0] >> 4), Where: "Remaining Length", Section: "1.5.5", Code: mqttwire.BreachEndless}
		if w, ok := ofBreach(d.checker.version, breach); ok {
			p.Warnings = append(p.Warnings, w)
		}
		return
	}
	var packet mqttwire.Packet
	var why *mqttwire.ErrMalformed
	if dir == in || d.checker.version != 0 || p.frame().Type == mqttwire.CONNECT {
		packet, why = p.decode(dir, d.checker.version)
	}
	if p.Length-p.header < p.minimal() {
		why = &mqttwire.ErrMalformed{Type: p.frame().Type, Where: "Remaining Length", Section: "1.5.5", Code: mqttwire.BreachNotMinimal,
			Value: itoa(p.Length - p.header)}
	}
	if c, ok := packet.(*mqttwire.ConnectPacket); ok && dir == out {
		d.listen(p, c)
	}
	v := d.checker.see(dir, p.frame(), p.Length, packet, why, stamp{p.Seq, p.At})
	p.Version, p.Warnings, p.Answers, p.Took = v.version, v.warnings, v.answers, v.took
}

// listen notes what the broker must not be seen to repeat.
func (d *decoder) listen(p *Packet, c *mqttwire.ConnectPacket) {
	from := p.header + c.PasswordAt
	if to := from + c.PasswordBytes; c.PasswordAt > 0 && to <= len(p.raw) {
		login := diag.Target{ClientID: c.ClientID, Password: diag.NewSecret(string(p.raw[from:to]))}
		if c.Username != nil {
			login.Username = *c.Username
		}
		d.echoes = diag.NewEchoes(login)
	}
}

// minimal is the least Remaining Length that needs a fixed header as long as this one.
func (p *Packet) minimal() int {
	if p.header <= 2 {
		return 0
	}
	return 1 << (7 * (p.header - 2))
}

// decode reads the packet; nil where that is not possible. An error that comes of our keeping only a part is none.
func (p *Packet) decode(dir int, version mqttwire.Version) (mqttwire.Packet, *mqttwire.ErrMalformed) {
	decode := mqttwire.DecodeClient
	if dir == in {
		decode = mqttwire.Decode
	}
	packet, err := decode(version, p.frame())
	var why *mqttwire.ErrMalformed
	errors.As(err, &why)
	if p.Truncated && why != nil && (why.Code == mqttwire.BreachMissing || why.Code == mqttwire.BreachPropertyLength || why.Code == mqttwire.BreachEndless) {
		return nil, nil
	}
	return packet, why
}
