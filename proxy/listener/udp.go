package listener

import (
	"net/netip"

	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
)

// UDPFactory compiles the configuration of a UDP listener's filter; nil if it
// takes no datagrams.
type UDPFactory func(path field.Path, config *anypb.Any, ctx *FactoryContext) (UDPFilterFactory, error)

// UDPFilterFactory makes a filter for one socket on one worker.
type UDPFilterFactory func(*UDPSocket) UDPFilter

// UDPFilter takes the datagrams of one socket of a UDP listener.
type UDPFilter interface {
	// OnDatagram is given one datagram. With Continue the next filter sees it,
	// too. Its bytes are valid until the Flush that follows.
	OnDatagram(d network.Datagram) network.FilterStatus
	// Flush ends a batch of datagrams.
	Flush()
	// OnReceiveError is called when receiving failed.
	OnReceiveError()
	// Close ends all that the filter has.
	Close()
}

// UDPSocket is a listening UDP socket, as its filters see it.
type UDPSocket struct {
	loop  *network.Loop
	sock  network.UDPSocket
	bound network.Address
}

// Loop is the loop that the filters run on.
func (s *UDPSocket) Loop() *network.Loop { return s.loop }

// Local is the address that a datagram was sent to.
func (s *UDPSocket) Local(d *network.Datagram) netip.AddrPort {
	if d.Local.IsValid() {
		return netip.AddrPortFrom(d.Local, s.bound.Port())
	}
	return s.bound.AddrPort
}

// Send sends datagrams to a client, from the address that it had sent to. It
// returns how many were sent, and their bytes.
func (s *UDPSocket) Send(data [][]byte, to netip.AddrPort, from netip.Addr) (sent, size int) {
	sent, size, _ = s.loop.Datagrams.Send(&s.sock, data, to, from)
	return sent, size
}

// udpListener is what a Listener has more when it is one for UDP.
type udpListener struct {
	filters []UDPFilterFactory
	maxSize int // of a datagram, in bytes
	gro     bool
	stats   *stats.Group[UDPStats]
}

// receiver is a UDP socket on one worker's loop.
type receiver struct {
	UDPSocket
	h       *handler
	stats   *UDPStats
	filters []UDPFilter
}

// receive makes al the one that takes the datagrams of s.
func (al *activeListener) receive(s source) {
	h, u := al.h, al.l.udp
	if old := h.receivers[s.fd]; old != nil {
		old.close()
	}
	r := &receiver{h: h, stats: u.stats.For(h.loop.Worker)}
	r.UDPSocket = UDPSocket{loop: h.loop, sock: network.NewUDPSocket(s.fd, s.bound, u.maxSize, u.gro), bound: s.bound}
	for _, f := range u.filters {
		r.filters = append(r.filters, f(&r.UDPSocket))
	}
	if err := h.loop.AddAcceptor(s.fd, r); err != nil {
		h.shared.log.Error("cannot watch a UDP socket", "listener", al.l.name, "address", s.bound, "err", err)
		return
	}
	h.receivers[s.fd] = r
	al.receivers = append(al.receivers, r)
}

// batchesPerEvent bounds what is received in one go, so that a flood of
// datagrams does not hold up the loop's other work. The socket is watched
// level-triggered: what is left over wakes the loop again.
const batchesPerEvent = 8

// OnReady implements event.Handler.
func (r *receiver) OnReady(event.Events) {
	for range batchesPerEvent {
		got, dropped, more, errno := r.loop.Datagrams.Receive(&r.sock)
		r.stats.Dropped.Add(uint64(dropped))
		if errno != 0 {
			for _, f := range r.filters {
				f.OnReceiveError()
			}
			return
		}
		for i := range got {
			r.pass(&got[i])
		}
		for _, f := range r.filters {
			f.Flush()
		}
		if !more {
			return
		}
	}
}

func (r *receiver) pass(d *network.Datagram) {
	for _, f := range r.filters {
		if f.OnDatagram(*d) == network.StopIteration {
			return
		}
	}
}

// close ends receiving, and the filters with all that they have. The socket
// stays open.
func (r *receiver) close() {
	if r.h.receivers[r.sock.FD] != r {
		return // taken over
	}
	delete(r.h.receivers, r.sock.FD)
	r.loop.Remove(r.sock.FD)
	for _, f := range r.filters {
		f.Close()
	}
}
