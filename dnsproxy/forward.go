package dnsproxy

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"
)

// Dial connects a socket of the pod's own, which is never caught, to a server.
// network is udp or tcp.
type Dial func(ctx context.Context, pod uint32, network string, server netip.AddrPort) (net.Conn, error)

const port = 53

// forwardTimeout is how long a server may take: as long as the most patient of
// the usual clients waits before it asks again.
const forwardTimeout = 5 * time.Second

// maxMessage is the longest message there can be (RFC 1035, 4.2.2).
const maxMessage = 65535

// forward asks the server what the pod asked and returns its whole answer. If
// only a part of it can be had, that.
func (s *Server) forward(ctx context.Context, pod uint32, server netip.Addr, query []byte, overTCP bool) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, forwardTimeout)
	defer cancel()
	to := netip.AddrPortFrom(server, port)
	if overTCP {
		return s.exchange(ctx, pod, "tcp", to, query)
	}
	answer, err := s.exchange(ctx, pod, "udp", to, query)
	if err != nil || !isTruncated(answer) {
		return answer, err
	}
	s.Stats.Truncated.Add(1)
	if whole, err := s.exchange(ctx, pod, "tcp", to, query); err == nil {
		return whole, nil
	}
	return answer, nil
}

func (s *Server) exchange(ctx context.Context, pod uint32, network string, to netip.AddrPort, query []byte) ([]byte, error) {
	conn, err := s.opts.Dial(ctx, pod, network, to)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", to, err)
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return nil, err
		}
	}
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	if network == "tcp" {
		return exchangeTCP(conn, query)
	}
	return exchangeUDP(conn, query)
}

// exchangeUDP skips what is no answer to the query: whoever guesses must guess
// right before the server answers.
func exchangeUDP(conn net.Conn, query []byte) ([]byte, error) {
	if _, err := conn.Write(query); err != nil {
		return nil, err
	}
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	for {
		n, err := conn.Read(*buf)
		if err != nil {
			return nil, err
		}
		if answers((*buf)[:n], query) {
			return append([]byte(nil), (*buf)[:n]...), nil
		}
	}
}

var errNoAnswer = errors.New("what the server sent is no answer to the question")

func exchangeTCP(conn net.Conn, query []byte) ([]byte, error) {
	if err := writeMessage(conn, query); err != nil {
		return nil, err
	}
	answer, err := readMessage(conn)
	if err == nil && !answers(answer, query) {
		err = errNoAnswer
	}
	return answer, err
}

// isTimeout reports whether a server did not answer in time, or the proxy ends.
func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, context.Canceled)
}

// writeMessage and readMessage are DNS over a stream: a length of two bytes
// before each message (RFC 1035, 4.2.2).
func writeMessage(w io.Writer, m []byte) error {
	framed := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(m)), uint16(len(m)))
	_, err := w.Write(append(framed, m...))
	return err
}

func readMessage(r io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	m := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err := io.ReadFull(r, m)
	return m, err
}
