package listener

import (
	"log/slog"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/internal/fdstore"
	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/overload"
)

// handler is one worker's connection handler: its listeners and what they
// have accepted. All of it is touched on the worker's loop only.
type handler struct {
	loop   *network.Loop
	worker int // from 0
	shared *server

	listeners map[*Listener]*activeListener
	byAddress map[netip.AddrPort]*activeListener // for use_original_dst
	internal  map[string]*activeListener         // internal listeners, by name
	acceptors map[int]*acceptor                  // by descriptor
	receivers map[int]*receiver                  // likewise, of UDP listeners

	scratch   []byte // where listener filters peek
	accepting Socket // the socket that is being accepted
	nextID    uint64
	reserve   int // a descriptor to give up when there are no others; -1: given up
}

// server is what the handlers of all workers share.
type server struct {
	handlers []*handler
	runtime  fraction.Runtime
	overload *overload.Manager // nil: never overloaded
	log      *slog.Logger
	open     limit // connections of all listeners

	closedPod atomic.Pointer[func(PodConnection)] // see Manager.WatchPods
}

func newHandler(l *network.Loop, worker int, s *server) *handler {
	h := &handler{
		loop: l, worker: worker, shared: s,
		listeners: map[*Listener]*activeListener{}, byAddress: map[netip.AddrPort]*activeListener{}, internal: map[string]*activeListener{}, acceptors: map[int]*acceptor{}, receivers: map[int]*receiver{},
		scratch: make([]byte, PeekMax),
	}
	h.reserve = reserveFD()
	l.ConnectInternal = h.connectInternal
	return h
}

// activeListener is a listener on one worker.
type activeListener struct {
	h         *handler
	l         *Listener
	stats     *Stats
	hstats    *HandlerStats
	acceptors []*acceptor
	receivers []*receiver
	conns     list[conn, *conn]
	waiting   list[pending, *pending]
}

// source is a socket that connections are accepted from.
type source struct {
	fd    int
	bound network.Address
	alone bool       // no other worker accepts from it
	pod   *PodSocket // nil for a socket of our own
}

// add starts serving l from sources. What replaced served from any of these
// sockets passes to l without a gap.
func (h *handler) add(l, replaced *Listener, sources []source) {
	al := &activeListener{h: h, l: l, stats: l.stats.For(h.loop.Worker), hstats: l.handlerStats[h.worker].For(h.loop.Worker)}
	h.listeners[l] = al
	al.place()
	for _, s := range sources {
		if l.udp != nil {
			al.receive(s)
		} else {
			al.accept(s)
		}
	}
	if old := h.listeners[replaced]; old != nil {
		h.stop(old)
	}
	if l.internal {
		h.internal[l.name] = al
	}
	for _, b := range l.bindings {
		if b.addr.AddrPort.IsValid() && !b.udp {
			h.byAddress[b.addr.AddrPort] = al
		}
	}
}

// accept makes al the one that takes connections from s.
func (al *activeListener) accept(s source) {
	h := al.h
	if a := h.acceptors[s.fd]; a != nil {
		a.al.forget(a)
		a.al = al
		al.acceptors = append(al.acceptors, a)
		return
	}
	a := &acceptor{al: al, source: s, shared: len(h.shared.handlers) > 1 && !s.alone}
	a.wildcard = !s.bound.AddrPort.IsValid() || s.bound.Addr().IsUnspecified()
	if err := h.loop.AddAcceptor(s.fd, a); err != nil {
		h.shared.log.Error("cannot watch a listening socket", "listener", al.l.name, "address", s.bound, "err", err)
		return
	}
	h.acceptors[s.fd] = a
	al.acceptors = append(al.acceptors, a)
}

func (al *activeListener) forget(a *acceptor) {
	for i, x := range al.acceptors {
		if x == a {
			al.acceptors = append(al.acceptors[:i], al.acceptors[i+1:]...)
			return
		}
	}
}

// update puts l, which differs from old in its filter chains only, into its
// place.
func (h *handler) update(l, old *Listener) {
	al := h.listeners[old]
	if al == nil {
		return
	}
	delete(h.listeners, old)
	al.l = l
	h.listeners[l] = al
	al.place()
}

// place is a filter chain on one worker. It is what a connection keeps: one
// pointer instead of two.
type place struct {
	chain *Chain
	al    *activeListener
	key   fdstore.Chain // of chain
}

// place puts the listener's chains on al's worker.
func (al *activeListener) place() {
	for c, name := range al.l.named {
		c.on[al.h.worker] = place{c, al, name}
	}
}

// stop ends accepting; connections live on.
func (h *handler) stop(al *activeListener) {
	for _, a := range al.acceptors {
		a.close()
	}
	al.acceptors = nil
	for _, r := range al.receivers {
		r.close()
	}
	al.receivers = nil
	if h.internal[al.l.name] == al {
		delete(h.internal, al.l.name)
	}
	for ap, x := range h.byAddress {
		if x == al {
			delete(h.byAddress, ap)
		}
	}
}

// detach stops accepting from one socket.
func (h *handler) detach(fd int) {
	if a := h.acceptors[fd]; a != nil {
		a.al.forget(a)
		a.close()
	}
}

// remove closes all that l still has.
func (h *handler) remove(l *Listener) {
	al := h.listeners[l]
	if al == nil {
		return
	}
	h.stop(al)
	al.waiting.each(func(p *pending) { p.close() })
	al.conns.each(func(c *conn) { c.Close(network.NoFlush) })
	delete(h.listeners, l)
}

// closeChains closes the connections of chains that no listener has any more.
func (h *handler) closeChains(gone []*Chain) {
	for _, al := range h.listeners {
		al.conns.each(func(c *conn) {
			if slices.Contains(gone, c.at.chain) {
				c.Close(network.NoFlush)
			}
		})
	}
}

// byDestination finds the listener for an original destination: the exact
// address, else all addresses with its port.
func (h *handler) byDestination(a network.Address) *activeListener {
	if al := h.byAddress[a.AddrPort]; al != nil {
		return al
	}
	if !a.AddrPort.IsValid() {
		return nil
	}
	if a.Addr().Is4() {
		if al := h.byAddress[netip.AddrPortFrom(netip.IPv4Unspecified(), a.Port())]; al != nil {
			return al
		}
	}
	if al := h.byAddress[netip.AddrPortFrom(netip.IPv6Unspecified(), a.Port())]; al != nil && (a.Addr().Is6() || al.l.takesIPv4()) {
		return al
	}
	return nil
}

// pause is how long a socket is left alone when descriptors have run out.
const pause = 100 * time.Millisecond

func reserveFD() int {
	fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return fd
}

var _ event.Handler = (*acceptor)(nil)
