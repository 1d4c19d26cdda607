package listener

import (
	"github.com/weirproxy/weir/internal/fdstore"
	"github.com/weirproxy/weir/proxy/network"
)

// Status is a listener filter's verdict.
type Status uint8

const (
	// Continue: on to the next filter.
	Continue Status = iota
	// WaitForData: call again when more bytes have come.
	WaitForData
	// Close: close the connection.
	Close
)

// Filter is a listener filter. It looks at an accepted socket before the
// filter chain is picked, and may tell what it finds. One Filter serves all
// connections of all workers: what it must remember of a socket it finds
// again by looking at the same bytes.
type Filter interface {
	// Inspect is called when the socket was accepted and, after WaitForData,
	// each time more bytes have come. It must not keep s.
	Inspect(s *Socket) Status
}

// DataFilter is a filter that always asks for the client's first bytes.
type DataFilter interface {
	Filter
	AsksForData()
}

// Socket is an accepted socket on its way through the listener filters.
type Socket struct {
	Local, Remote network.Address // as the filters restore them

	listener      *activeListener
	fd            int
	next          int // the filter that is asked next
	directRemote  network.Address
	info          *network.Info
	pod           *PodSocket // that the agent made; nil: one of our own
	localRestored bool
	handedOff     bool // by another listener, with use_original_dst
	peerEnded     bool
	failed        bool // peerEnded, by an error

	// A connection that a proxy before this one had goes on with a request, or
	// with the connection upstream and the filter chain that it was on.
	partner int // descriptor; 0: none
	chain   fdstore.Chain

	begun []byte // a request that an earlier proxy has read; nil: none
	data  []byte // what was peeked in this round, in the worker's scratch memory
	full  bool   // all that may have come is in data
}

// FD is the socket's descriptor, for asking the kernel about it.
func (s *Socket) FD() int { return s.fd }

// Loop is the worker's loop.
func (s *Socket) Loop() *network.Loop { return s.listener.h.loop }

// Info is where a filter puts what it learns, for the connection to keep.
func (s *Socket) Info() *network.Info {
	if s.info == nil {
		s.info = &network.Info{DirectRemote: s.directRemote, DirectLocal: s.Local, Listener: s.listener.l.name}
	}
	return s.info
}

// RestoreLocal sets the address that the client really wanted to reach.
func (s *Socket) RestoreLocal(a network.Address) {
	info := s.Info()
	s.Local, s.localRestored, info.LocalRestored = a, true, true
}

// LocalRestored tells whether an earlier filter, or the way in which the
// connection came here, has told where it was going.
func (s *Socket) LocalRestored() bool { return s.localRestored }

// Transport is the transport protocol that an earlier filter has found, or "".
func (s *Socket) Transport() string {
	if s.info == nil {
		return ""
	}
	return s.info.TransportProtocol
}

// PeekMax is the most that Peek can show, in bytes.
const PeekMax = 64 << 10

// Peek returns up to n of the first bytes that the client has sent, without
// consuming them. They are valid until the filter returns. A failed or ended
// connection shows what came before; the filter's WaitForData then ends it.
func (s *Socket) Peek(n int) []byte {
	n = min(n, PeekMax)
	if len(s.begun) > 0 {
		return s.begun[:min(n, len(s.begun))]
	}
	if len(s.data) < n && !s.full {
		scratch := s.listener.h.scratch[:n]
		k, errno := network.Peek(s.fd, scratch)
		switch {
		case errno != 0:
			k = 0
			s.failed = s.failed || errno != network.EAGAIN
			s.peerEnded = s.peerEnded || s.failed
		case k == 0:
			s.peerEnded = true
		}
		s.data, s.full = scratch[:k], k < n
	}
	return s.data[:min(n, len(s.data))]
}

// Consume drops the first n bytes that Peek has shown from the stream.
func (s *Socket) Consume(n int) bool {
	s.forget()
	ok := network.Discard(s.fd, n)
	s.data, s.full = nil, false
	return ok
}
