package netprobe

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func tcpInfo(conn syscall.Conn) (Info, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return Info{}, fmt.Errorf("TCP_INFO: %w", err)
	}
	var info *unix.TCPInfo
	var failure error
	if err := raw.Control(func(fd uintptr) {
		info, failure = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	}); err != nil {
		return Info{}, fmt.Errorf("TCP_INFO: %w", err)
	}
	if errors.Is(failure, unix.ENOPROTOOPT) || errors.Is(failure, unix.EOPNOTSUPP) {
		return Info{}, fmt.Errorf("TCP_INFO: %w: %w", ErrUnsupported, failure)
	}
	if failure != nil {
		return Info{}, fmt.Errorf("TCP_INFO: %w", failure)
	}
	us := func(n uint32) time.Duration { return time.Duration(n) * time.Microsecond }
	return Info{
		RTT: us(info.Rtt), MinRTT: us(info.Min_rtt), RTO: us(info.Rto),
		Retransmits: int(info.Total_retrans), Spurious: int(info.Dsack_dups), Backoff: int(info.Backoff), Unacked: int(info.Unacked), Lost: int(info.Lost),
		BytesAcked: info.Bytes_acked, BytesReceived: info.Bytes_received,
		SndMSS: int(info.Snd_mss), RcvMSS: int(info.Rcv_mss), PMTU: int(info.Pmtu),
		SegsIn: int(info.Segs_in), DataSegsIn: int(info.Data_segs_in), RcvOutOfOrder: int(info.Rcv_ooopack),
	}, nil
}
