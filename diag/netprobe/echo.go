package netprobe

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// echoTime bounds an echo whose context has no deadline.
const echoTime = 5 * time.Second

// Echo sends one ICMP echo request (RFC 792, RFC 4443 4.1) without privileges and returns the time to its reply. Many
// systems do not let a user do that (on Linux, net.ipv4.ping_group_range decides): then, and on systems without such
// sockets, the error is [ErrUnsupported] and says nothing of the target. An unanswered one ends with the context's error;
// that is no fault either, since many networks drop echo. Without a deadline it waits 5 s.
func Echo(ctx context.Context, addr netip.Addr, allow ...Allow) (time.Duration, error) {
	addr = addr.Unmap()
	if !addr.IsValid() {
		return 0, errors.New("echo: not an address")
	}
	if err := checkAll(allow, addr); err != nil {
		return 0, fmt.Errorf("echo: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, echoTime)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("echo: %w", err)
	}
	rtt, err := echo(ctx, addr)
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		return 0, fmt.Errorf("echo %s: %w", addr, err)
	}
	return rtt, nil
}

func echo(ctx context.Context, addr netip.Addr) (time.Duration, error) {
	network, any := "udp4", "0.0.0.0"
	var request, reply icmp.Type = ipv4.ICMPTypeEcho, ipv4.ICMPTypeEchoReply
	protocol := 1
	if addr.Is6() {
		network, any, protocol = "udp6", "::", 58
		request, reply = ipv6.ICMPTypeEchoRequest, ipv6.ICMPTypeEchoReply
	}
	conn, err := icmp.ListenPacket(network, any)
	if err != nil {
		// Nothing was sent yet, and each system says in its own way that it will not have such a socket.
		return 0, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	defer conn.Close()
	// A deadline in the past is how a context that ends wakes the read below.
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(woken)
		_ = conn.SetReadDeadline(time.Unix(1, 0))
	})
	defer func() {
		if !stop() {
			<-woken
		}
	}()

	// Linux puts its own identifier in and hands out only what carries it; the random data tells replies to us from
	// whatever else may come.
	data := make([]byte, 32)
	_, _ = rand.Read(data)
	id := int(data[0])<<8 | int(data[1])
	packet, err := (&icmp.Message{Type: request, Body: &icmp.Echo{ID: id, Seq: 1, Data: data}}).Marshal(nil)
	if err != nil {
		return 0, err
	}
	sent := time.Now()
	if _, err := conn.WriteTo(packet, &net.UDPAddr{IP: addr.AsSlice(), Zone: addr.Zone()}); err != nil {
		return 0, err
	}
	buffer := make([]byte, 1500)
	for {
		n, _, err := conn.ReadFrom(buffer)
		rtt := time.Since(sent)
		if err != nil {
			return 0, err
		}
		m, err := icmp.ParseMessage(protocol, buffer[:n])
		if err != nil || m.Type != reply {
			continue
		}
		if body, ok := m.Body.(*icmp.Echo); ok && bytes.Equal(body.Data, data) {
			return rtt, nil
		}
	}
}
