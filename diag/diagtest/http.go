package diagtest

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"testing"
)

// HTTPStatus answers every HTTP request with a status and a short page, as a web server does that knows no WebSocket.
// Header lines come in pairs of name and value.
func HTTPStatus(status int, header ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, "<html><head><title>%d %s</title></head></html>\n", status, http.StatusText(status))
	})
}

// HTTPPeer starts an HTTP/1.1 server, with TLS by [WithTLS]. As nginx does, and unlike Go's own server, it answers 400
// at once to what does not begin like a request. See [PatientHTTPPeer] for the other kind.
func HTTPPeer(t testing.TB, handler http.Handler, options ...PeerOption) *PeerServer {
	t.Helper()
	return Peer(t, func(conn net.Conn) {
		reader := bufio.NewReader(conn)
		// Methods are upper-case letters; a CONNECT packet begins with 0x10 and a ClientHello with 0x16.
		if first, err := reader.Peek(1); err != nil || first[0] < 'A' || first[0] > 'Z' {
			if err == nil {
				io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nContent-Type: text/html\r\n"+
					"Content-Length: 0\r\nConnection: close\r\n\r\n")
				lingerForAlert(conn)
			}
			return
		}
		serveHTTP(&bufferedConn{conn, reader}, handler)
	}, options...)
}

// PatientHTTPPeer is Go's own HTTP/1.1 server: to what is no HTTP it says nothing, waiting for the end of a line.
func PatientHTTPPeer(t testing.TB, handler http.Handler, options ...PeerOption) *PeerServer {
	t.Helper()
	return Peer(t, func(conn net.Conn) { serveHTTP(conn, handler) }, options...)
}

// bufferedConn reads what was peeked at first.
type bufferedConn struct {
	net.Conn
	reader *bufio.Reader
}

func (c *bufferedConn) Read(p []byte) (int, error) { return c.reader.Read(p) }

type connKey struct{}

// connOf is the connection that a request of [serveHTTP] came in on, the one given to the peer's handler.
func connOf(r *http.Request) net.Conn { return r.Context().Value(connKey{}).(net.Conn) }

// serveHTTP serves one connection until it is closed, and closes it.
func serveHTTP(conn net.Conn, handler http.Handler) {
	served := &servedConn{Conn: conn, closed: make(chan struct{})}
	server := &http.Server{
		Handler:     handler,
		ErrorLog:    log.New(io.Discard, "", 0),
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context { return context.WithValue(ctx, connKey{}, conn) },
	}
	server.Serve(&oneConn{conn: served})
	<-served.closed
}

// servedConn tells when the HTTP server, or who took the connection over from it, has closed it.
type servedConn struct {
	net.Conn
	once   sync.Once
	closed chan struct{}
}

func (c *servedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { close(c.closed) })
	return err
}

// oneConn is a listener that gives its one connection and then waits for it to be closed.
type oneConn struct {
	conn  *servedConn
	given bool
}

func (l *oneConn) Accept() (net.Conn, error) {
	if l.given {
		<-l.conn.closed
		return nil, io.EOF
	}
	l.given = true
	return l.conn, nil
}

func (l *oneConn) Close() error   { return nil }
func (l *oneConn) Addr() net.Addr { return l.conn.LocalAddr() }

// tlsState is the state of the TLS handshake below a connection, nil without TLS.
func tlsState(conn net.Conn) *tls.ConnectionState {
	if secured, ok := conn.(*tls.Conn); ok {
		state := secured.ConnectionState()
		return &state
	}
	return nil
}
