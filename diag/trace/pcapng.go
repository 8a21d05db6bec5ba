package trace

import (
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"mqttdoctor/diag/mqttwire"
)

// The addresses of a capture are those of examples (RFC 5737): what was recorded is the inside of a TCP, TLS or WebSocket
// connection, whose own packets nobody has seen.
var (
	captureClient = net.IPv4(192, 0, 2, 1).To4()
	captureBroker = net.IPv4(198, 51, 100, 1).To4()
)

const (
	// captureFirstPort is below the client's ports, which count the connections.
	captureFirstPort = 49152
	// captureBrokerPort is the one that tools take for MQTT, whatever the real one was.
	captureBrokerPort = 1883
	captureWindow     = 64240
	// captureOffset keeps the sequence numbers of the two sides apart for the eye.
	captureOffset = 1 << 20
)

// WritePCAPNG writes what is kept as a capture file that Wireshark takes apart as MQTT. TCP and IP are made up around it, the
// times are real, secrets are masked. A payload that was kept in part is cut, and a comment on the packet says so.
func (r *Recorder) WritePCAPNG(w io.Writer, application string) error {
	intf := pcapgo.NgInterface{Name: "mqttdoctor", Comment: "recorded in the relay of a console", LinkType: layers.LinkTypeRaw,
		SnapLength: 0, TimestampResolution: 9}
	writer, err := pcapgo.NewNgWriterInterface(w, intf, pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{Application: application,
		Comment: "TCP/IP headers are made up, times are real, passwords are masked with asterisks."}})
	if err != nil {
		return err
	}
	c := capture{w: writer, conns: map[int]*captured{}}
	all := r.All()
	if all.Lost > 0 {
		c.comment = fmt.Sprintf("%d packets before this one were not kept", all.Lost)
	}
	for i := range all.Packets {
		if err := c.packet(&all.Packets[i]); err != nil {
			return err
		}
	}
	return writer.Flush()
}

// capture writes packets as those of TCP connections.
type capture struct {
	w       *pcapgo.NgWriter
	conns   map[int]*captured
	comment string // for the next packet
}

// captured is a connection in a capture: the next sequence number of either side.
type captured struct {
	open bool
	next [2]uint32
}

func (c *capture) conn(number int) *captured {
	conn := c.conns[number]
	if conn == nil {
		conn = &captured{next: [2]uint32{1, captureOffset}}
		c.conns[number] = conn
	}
	return conn
}

func (c *capture) packet(p *Packet) error {
	conn := c.conn(p.Conn)
	if p.Event != nil {
		switch p.Event.Type {
		case EventConnected:
			return c.open(p.Conn, conn, p.At)
		case EventClosed:
			return c.close(p, conn)
		}
		return nil
	}
	if err := c.open(p.Conn, conn, p.At); err != nil { // the connection's beginning was not kept
		return err
	}
	data := p.masked()
	var comments []string
	if c.comment != "" {
		comments, c.comment = []string{c.comment}, ""
	}
	if kept := len(p.raw) - p.header; p.Truncated {
		comments = append(comments, fmt.Sprintf("%d of %d bytes were kept; the packet's length is changed to fit", kept, p.Length-p.header))
		data = append(appendHeader(nil, data[0], kept), data[p.header:]...)
	}
	for _, warning := range p.Warnings {
		comments = append(comments, warning.Note.Key+" ["+warning.Section+"]")
	}
	dir := out
	if p.Dir == mqttwire.In {
		dir = in
	}
	return c.segment(p.Conn, conn, dir, p.At, data, func(t *layers.TCP) { t.PSH, t.ACK = true, true }, comments)
}

// open writes a handshake (RFC 9293 3.5) where there was none yet.
func (c *capture) open(number int, conn *captured, at time.Time) error {
	if conn.open {
		return nil
	}
	conn.open = true
	err := c.segment(number, conn, out, at, nil, func(t *layers.TCP) { t.SYN = true }, nil)
	if err == nil {
		err = c.segment(number, conn, in, at, nil, func(t *layers.TCP) { t.SYN, t.ACK = true, true }, nil)
	}
	if err == nil {
		err = c.segment(number, conn, out, at, nil, func(t *layers.TCP) { t.ACK = true }, nil)
	}
	return err
}

// close writes the end, begun by the side that ended it.
func (c *capture) close(p *Packet, conn *captured) error {
	if !conn.open {
		return nil
	}
	first := out
	if by, _ := p.Event.Fields["by"].(string); by == "broker" {
		first = in
	}
	fin := func(t *layers.TCP) { t.FIN, t.ACK = true, true }
	err := c.segment(p.Conn, conn, first, p.At, nil, fin, nil)
	if err == nil {
		err = c.segment(p.Conn, conn, 1-first, p.At, nil, fin, nil)
	}
	if err == nil {
		err = c.segment(p.Conn, conn, first, p.At, nil, func(t *layers.TCP) { t.ACK = true }, nil)
	}
	return err
}

// segment writes one TCP segment.
func (c *capture) segment(number int, conn *captured, dir int, at time.Time, data []byte, flags func(*layers.TCP), comments []string) error {
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: captureClient, DstIP: captureBroker, Flags: layers.IPv4DontFragment}
	port := layers.TCPPort(captureFirstPort + number%(1<<14))
	tcp := &layers.TCP{SrcPort: port, DstPort: captureBrokerPort, Seq: conn.next[dir], Window: captureWindow}
	if dir == in {
		ip.SrcIP, ip.DstIP = ip.DstIP, ip.SrcIP
		tcp.SrcPort, tcp.DstPort = tcp.DstPort, tcp.SrcPort
	}
	flags(tcp)
	if tcp.ACK {
		tcp.Ack = conn.next[1-dir]
	}
	if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
		return err
	}
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ip, tcp, gopacket.Payload(data)); err != nil {
		return err
	}
	conn.next[dir] += uint32(len(data))
	if tcp.SYN || tcp.FIN {
		conn.next[dir]++
	}
	raw := buf.Bytes()
	options := pcapgo.NgPacketOptions{}
	if len(comments) > 0 {
		options.Comments = []string{strings.Join(comments, "\n")}
	}
	return c.w.WritePacketWithOptions(gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(raw), Length: len(raw)}, raw, options)
}

// appendHeader appends a fixed header (MQTT 5.0 2.1).
func appendHeader(b []byte, first byte, remaining int) []byte {
	b = append(b, first)
	for {
		digit := byte(remaining & 0x7f)
		if remaining >>= 7; remaining == 0 {
			return append(b, digit)
		}
		b = append(b, digit|0x80)
	}
}
