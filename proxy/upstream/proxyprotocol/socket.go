package proxyprotocol

import (
	"slices"

	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// transport is the compiled configuration.
type transport struct {
	v2    bool
	pass  *passThrough // nil: no values of the client's header are passed on
	added []network.TLV
	inner cluster.Transport // nil: plain bytes
}

type passThrough struct {
	all   bool
	kinds [256]bool
}

// Socket implements cluster.Transport.
func (t *transport) Socket(l *network.Loop, h *cluster.Host, o cluster.TransportOptions) network.TransportSocket {
	s := &socket{t: t, o: o}
	if t.inner != nil {
		s.inner = t.inner.Socket(l, h, o)
	}
	return s
}

// Secure implements cluster.Conditional.
func (t *transport) Secure(h *cluster.Host) bool { return cluster.Secure(t.inner, h) }

// Brings implements cluster.Bringer.
func (t *transport) Brings(l *network.Loop, h *cluster.Host, o cluster.TransportOptions) *network.Brought {
	return cluster.Brings(t.inner, l, h, o)
}

// tlvs are the values to send: the configured ones, and those of the client's
// header that they do not replace.
func (t *transport) tlvs(client []network.TLV) []network.TLV {
	out := slices.Clone(t.added)
	for _, v := range client {
		replaced := slices.ContainsFunc(t.added, func(a network.TLV) bool { return a.Type == v.Type })
		if !replaced && t.pass != nil && (t.pass.all || t.pass.kinds[v.Type]) {
			out = append(out, v)
		}
	}
	return out
}

// socket sends the header and then leaves everything to the one inside.
type socket struct {
	t      *transport
	o      cluster.TransportOptions
	inner  network.TransportSocket // nil: plain bytes
	header network.Buffer          // what is left of it
	opened bool                    // the header is out
}

// Connected implements network.TransportSocket.
func (s *socket) Connected(c *network.Connection) {
	s.header.Init(&c.Loop().Pool)
	src, dst := s.o.Source, s.o.Destination
	switch {
	case s.t.v2:
		s.header.Append(header2(src, dst, s.t.tlvs(decodeTLVs(s.o.TLVs))))
	case src.IsValid():
		s.header.Append(header1(src, dst))
	default: // on nobody's behalf
		s.header.Append(header1(c.LocalAddress().AddrPort, c.RemoteAddress().AddrPort))
	}
	s.send(c)
}

// send writes the header; once it is out the connection is opened.
func (s *socket) send(c *network.Connection) error {
	if r := c.WriteSocket(&s.header); r.Err != nil || s.header.Len() > 0 {
		return r.Err // or the descriptor tells when there is room
	}
	s.opened = true
	if s.inner != nil {
		s.inner.Connected(c)
	} else {
		c.RaiseConnected()
	}
	return nil
}

// Read implements network.TransportSocket.
func (s *socket) Read(c *network.Connection, in *network.Buffer) network.IoResult {
	if s.inner != nil && s.opened {
		return s.inner.Read(c, in)
	}
	return c.ReadSocket(in)
}

// Write implements network.TransportSocket.
func (s *socket) Write(c *network.Connection, out *network.Buffer, end bool) network.IoResult {
	if !s.opened {
		if err := s.send(c); err != nil || !s.opened {
			return network.IoResult{Err: err, Held: true}
		}
	}
	if s.inner != nil {
		return s.inner.Write(c, out, end)
	}
	return c.WriteSocket(out)
}

// CanFlushClose implements network.TransportSocket.
func (s *socket) CanFlushClose() bool { return s.opened && (s.inner == nil || s.inner.CanFlushClose()) }

// Close implements network.TransportSocket.
func (s *socket) Close(c *network.Connection) {
	s.header.Reset()
	if s.inner != nil {
		s.inner.Close(c)
	}
}

// FailureReason implements network.TransportSocket.
func (s *socket) FailureReason() string {
	if s.inner != nil {
		return s.inner.FailureReason()
	}
	return ""
}
