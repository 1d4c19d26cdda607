package listener

import (
	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/overload"
)

// acceptor is a listening socket on one worker's loop.
type acceptor struct {
	source
	al       *activeListener
	wildcard bool // the local address must be asked for
	shared   bool // other workers accept from the same socket
	starved  bool // the last try found no descriptor
	closed   bool
	resume   *event.Timer
}

// sharedBatch bounds what one worker takes at once from a socket that others
// watch too.
const sharedBatch = 8

// OnReady implements event.Handler. The socket is watched level-triggered, so
// what is left over wakes the loop again after others had their turn.
func (a *acceptor) OnReady(event.Events) {
	if a.overload().StopsAcceptingConnections() {
		a.rest()
		return
	}
	most := a.al.l.perEvent
	if a.shared {
		most = min(most, sharedBatch)
	}
	n := 0
	for ; n < most; n++ {
		if !a.acceptOne() {
			break
		}
	}
	if n > 0 {
		a.al.stats.AcceptedPerSocketEvent.Record(uint64(n))
	}
}

// acceptOne takes one connection; false when there is none to take now.
func (a *acceptor) acceptOne() bool {
	for {
		fd, remote, errno := network.Accept(a.fd)
		switch errno {
		case 0:
			a.starved = false
			a.take(fd, remote)
			return true
		case unix.EAGAIN:
			return false
		case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM:
			a.outOfDescriptors(errno)
			return false
		case unix.EINVAL, unix.EBADF, unix.ENOTSOCK, unix.EOPNOTSUPP:
			// Not listening (any more): a socket that was attached and then
			// shut down by its maker. Watching it would spin.
			a.al.h.shared.log.Error("a listening socket broke", "listener", a.al.l.name, "address", a.bound, "err", errno)
			a.al.forget(a)
			a.close()
			return false
		default:
			// accept(2) hands out errors of the connection that it would have
			// returned: the next one may be fine.
		}
	}
}

// overload is the overload manager, nil when the listener doesn't heed it.
func (a *acceptor) overload() *overload.Manager {
	if a.al.l.bypassOverload {
		return nil
	}
	return a.al.h.shared.overload
}

// rest leaves the socket alone for a while: the clients wait in its queue.
func (a *acceptor) rest() {
	h := a.al.h
	if a.closed {
		return
	}
	h.loop.Remove(a.fd)
	if a.resume == nil {
		a.resume = h.loop.NewTimer(a.watchAgain)
	}
	a.resume.Enable(pause)
}

// take starts the life of an accepted connection.
func (a *acceptor) take(fd int, remote network.Address) {
	s := &a.al.h.accepting
	*s = Socket{listener: a.al, fd: fd, Local: a.bound, Remote: remote, directRemote: remote}
	s.keep(a.pod)
	if a.overload().RejectsConnection() {
		a.al.stats.CxOverloadReject.Inc()
		s.close()
		return
	}
	if a.wildcard || a.pod != nil {
		local, err := network.LocalName(fd)
		if err != nil {
			s.close()
			return
		}
		s.Local = local
	}
	a.al.balance(s, a.source)
}

// outOfDescriptors leaves the socket alone for a while: the clients wait in
// its queue. When that did not help, the queue is emptied by resetting its
// clients, so that they learn of it and may go elsewhere.
func (a *acceptor) outOfDescriptors(errno unix.Errno) {
	h := a.al.h
	if a.starved && h.reserve >= 0 {
		a.shed()
	} else if !a.starved {
		h.shared.log.Warn("cannot accept connections for want of descriptors or memory; raise the limit of open files", "listener", a.al.l.name, "err", errno)
	}
	a.starved = true
	a.rest()
}

func (a *acceptor) watchAgain() {
	if a.al.h.loop.AddAcceptor(a.fd, a) != nil {
		a.resume.Enable(pause) // no memory for the kernel's watch, either
	}
}

func (a *acceptor) shed() {
	h := a.al.h
	network.CloseFD(h.reserve)
	for range a.al.l.perEvent {
		fd, _, errno := network.Accept(a.fd)
		if errno != 0 {
			break
		}
		network.ResetFD(fd)
		a.al.stats.CxOverloadReject.Inc()
	}
	h.reserve = reserveFD()
}

// close stops accepting. What waits in the socket is taken when the socket
// goes away with this worker, as closing would reset those clients, and when
// another proxy accepts from it: that may not have been woken for them.
func (a *acceptor) close() {
	if a.closed {
		return
	}
	a.closed = true
	h := a.al.h
	h.loop.Remove(a.fd)
	delete(h.acceptors, a.fd)
	if a.resume != nil {
		a.resume.Release()
	}
	if a.alone || a.pod != nil {
		for a.acceptOne() {
		}
	}
}
