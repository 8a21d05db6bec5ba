package diagtest

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// PeerServer is something that listens for a test. At the end of the test its listener and connections are closed and
// its goroutines waited for.
type PeerServer struct {
	Addr string // host:port
	Host string
	Port int

	mu     sync.Mutex
	closed bool
	conns  map[net.Conn]struct{}
	count  int
	group  sync.WaitGroup
	stop   chan struct{}
}

// URL is the peer's address under a scheme: URL("mqtt") is "mqtt://127.0.0.1:port". A path may follow.
func (p *PeerServer) URL(scheme string, path ...string) string {
	return scheme + "://" + p.Addr + strings.Join(path, "")
}

// Connections counts the connections accepted so far.
func (p *PeerServer) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

// PeerOption changes how a peer listens.
type PeerOption func(*peerConfig)

type peerConfig struct {
	addr string
	tls  *tls.Config
}

// At makes a peer listen on the given address instead of on a free port of 127.0.0.1; port 0 is a free port.
func At(addr string) PeerOption { return func(c *peerConfig) { c.addr = addr } }

// WithTLS makes a peer take a TLS handshake before its handler sees the connection. A connection whose handshake fails
// is closed after the alert.
func WithTLS(config *tls.Config) PeerOption { return func(c *peerConfig) { c.tls = config } }

// Handler is what a peer does with one connection, which is closed when it returns and at the end of the test. It runs
// on its own goroutine.
type Handler func(net.Conn)

// Peer starts a TCP server that gives each connection to handle.
func Peer(t testing.TB, handle Handler, options ...PeerOption) *PeerServer {
	t.Helper()
	config := peerConfig{addr: "127.0.0.1:0"}
	for _, option := range options {
		option(&config)
	}
	listener, err := net.Listen("tcp", config.addr)
	if err != nil {
		t.Fatal(err)
	}
	p := &PeerServer{Addr: listener.Addr().String(), conns: map[net.Conn]struct{}{}, stop: make(chan struct{})}
	p.Host, p.Port = hostPort(t, listener.Addr())
	if config.tls != nil {
		handle = afterHandshake(config.tls, handle)
	}
	p.group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if !p.adopt(conn) {
				conn.Close()
				return
			}
			p.group.Go(func() {
				defer p.abandon(conn)
				handle(&stoppable{Conn: conn, stop: p.stop})
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		p.mu.Lock()
		p.closed = true
		close(p.stop)
		for conn := range p.conns {
			conn.Close()
		}
		p.mu.Unlock()
		p.group.Wait()
	})
	return p
}

// TLSPeer starts a TCP server that takes a TLS handshake before each connection reaches handle.
func TLSPeer(t testing.TB, config *tls.Config, handle Handler, options ...PeerOption) *PeerServer {
	t.Helper()
	return Peer(t, handle, append(options, WithTLS(config))...)
}

func afterHandshake(config *tls.Config, handle Handler) Handler {
	return func(conn net.Conn) {
		secured := tls.Server(conn, config)
		if secured.Handshake() != nil {
			// A client that has written on gets a reset, which may overtake the alert on its way, if what it wrote
			// is not read.
			lingerForAlert(conn)
			return
		}
		handle(secured)
		secured.Close()
	}
}

func lingerForAlert(conn net.Conn) {
	if half, ok := unwrap(conn).(*net.TCPConn); ok {
		half.CloseWrite()
		conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		io.Copy(io.Discard, io.LimitReader(conn, 64<<10))
	}
}

func (p *PeerServer) adopt(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.conns[conn] = struct{}{}
	p.count++
	return true
}

func (p *PeerServer) abandon(conn net.Conn) {
	conn.Close()
	p.mu.Lock()
	delete(p.conns, conn)
	p.mu.Unlock()
}

// stoppable is a connection whose handler can be told that the test is over.
type stoppable struct {
	net.Conn
	stop chan struct{}
}

// unwrap finds the TCP connection below.
func unwrap(conn net.Conn) net.Conn {
	for {
		switch c := conn.(type) {
		case *stoppable:
			conn = c.Conn
		case *tls.Conn:
			conn = c.NetConn()
		default:
			return conn
		}
	}
}

// pause waits, and returns false when the test is over or the connection was closed by it.
func pause(conn net.Conn, d time.Duration) bool {
	var stop chan struct{}
	for c := conn; stop == nil; {
		switch inner := c.(type) {
		case *stoppable:
			stop = inner.stop
		case *tls.Conn:
			c = inner.NetConn()
		default:
			time.Sleep(d)
			return true
		}
	}
	select {
	case <-stop:
		return false
	case <-time.After(d):
		return true
	}
}

// Silent reads whatever comes and never answers. It goes on until the client closes.
func Silent(conn net.Conn) { io.Copy(io.Discard, conn) }

// CloseAtOnce closes right after accept, with a FIN.
func CloseAtOnce(net.Conn) {}

// ResetAtOnce closes right after accept with a RST.
func ResetAtOnce(conn net.Conn) { Reset(conn) }

// Reset closes a connection with a RST, by SO_LINGER 0, whatever wraps it.
func Reset(conn net.Conn) {
	if tcp, ok := unwrap(conn).(*net.TCPConn); ok {
		tcp.SetLinger(0)
		tcp.Close()
	}
}

// CloseAfterFirstBytes reads once and closes with a FIN, having read everything that was there.
func CloseAfterFirstBytes(conn net.Conn) { conn.Read(make([]byte, 64<<10)) }

// ResetAfterFirstBytes reads once and resets.
func ResetAfterFirstBytes(conn net.Conn) {
	conn.Read(make([]byte, 64<<10))
	Reset(conn)
}

// SSHBanner, SMTPBanner and FTPBanner are what servers of these protocols say first.
const (
	SSHBanner  = "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n"
	SMTPBanner = "220 mail.example.com ESMTP Postfix (Debian/GNU)\r\n"
	FTPBanner  = "220 ProFTPD Server (Debian) [::ffff:192.0.2.1]\r\n"
)

// Banner says text first, as SSH and SMTP servers do, then reads and never answers.
func Banner(text string) Handler {
	return func(conn net.Conn) {
		io.WriteString(conn, text)
		Silent(conn)
	}
}

// Answer reads once, then sends data, then reads and never answers again.
func Answer(data ...byte) Handler {
	return func(conn net.Conn) {
		conn.Read(make([]byte, 64<<10))
		conn.Write(data)
		Silent(conn)
	}
}

// AnswerAndClose reads once, then sends data and closes. Half a packet and a close is AnswerAndClose(0x20, 0x02, 0x00).
func AnswerAndClose(data ...byte) Handler {
	return func(conn net.Conn) {
		conn.Read(make([]byte, 64<<10))
		conn.Write(data)
	}
}

// Drip reads once, then sends data one byte at a time with the given wait before each, and when it has sent all begins
// again: a peer that is never silent for long and never done.
func Drip(wait time.Duration, data ...byte) Handler {
	return func(conn net.Conn) {
		conn.Read(make([]byte, 64<<10))
		for i := 0; pause(conn, wait); i++ {
			if _, err := conn.Write(data[i%len(data) : i%len(data)+1]); err != nil {
				return
			}
		}
	}
}

// Endless reads once, then sends data over and over as fast as the client takes it, until the client closes.
func Endless(data ...byte) Handler {
	return func(conn net.Conn) {
		conn.Read(make([]byte, 64<<10))
		chunk := make([]byte, 0, 32<<10+len(data))
		for len(chunk) < 32<<10 {
			chunk = append(chunk, data...)
		}
		for {
			if _, err := conn.Write(chunk); err != nil {
				return
			}
		}
	}
}

// HugeConnack answers with the header of a CONNACK that declares a Remaining Length of 268,435,455 bytes, the most there
// is (MQTT 5.0 1.5.5), two bytes of it, and silence. A reader that trusts it reserves 256 MB.
var HugeConnack = Answer(0x20, 0xff, 0xff, 0xff, 0x7f, 0x00, 0x00)

// HugePublish is the same as [HugeConnack] with a PUBLISH, after a good CONNACK for MQTT 3.1.1.
var HugePublish = Answer(0x20, 0x02, 0x00, 0x00, 0x30, 0xff, 0xff, 0xff, 0x7f, 0x00, 0x01, 'a')

// BadLength answers with a Remaining Length of five bytes, one more than there may be (MQTT 5.0 1.5.5).
var BadLength = Answer(0x20, 0xff, 0xff, 0xff, 0xff, 0x7f)

// HalfConnack answers with the first three of a CONNACK's four bytes, and silence.
var HalfConnack = Answer(0x20, 0x02, 0x00)

// Connack answers every CONNECT with a CONNACK: of code v3 to MQTT 3.1 and 3.1.1 (MQTT 3.1.1 3.2.2.3), of reason code v5
// to MQTT 5 (MQTT 5.0 3.2.2.2). After a refusal it closes, as a broker must; otherwise it is silent.
func Connack(v3, v5 byte) Handler {
	return func(conn net.Conn) {
		first, err := readPacket(conn)
		if err != nil || first[0]>>4 != 1 {
			return
		}
		code, answer := v3, []byte{0x20, 2, 0, v3}
		if connectLevel(first) >= 5 {
			code, answer = v5, []byte{0x20, 3, 0, v5, 0}
		}
		conn.Write(answer)
		if code == 0 {
			Silent(conn)
		}
	}
}
