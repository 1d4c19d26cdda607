package listener

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/proxy/network"
)

// bound is one address of a listener with its sockets. Listeners that follow
// each other on an address share it.
type bound struct {
	asked     network.Address // as configured; its port may be 0
	addr      network.Address // as bound
	options   network.ListenOptions
	reusePort bool
	udp       bool
	fds       []int // one a worker, or one for all; none when bind_to_port is false
	listening bool
	refs      int
}

// Inheritance provides listening sockets of an earlier process (hot restart,
// or the agent's store) instead of new ones.
type Inheritance interface {
	// Take returns the socket that worker (from 0) listened with on addr.
	Take(addr network.Address, worker int) (fd int, ok bool)
}

// bind makes the sockets of b for n workers.
func (b *bound) bind(n int, from Inheritance) error {
	if !b.reusePort || b.asked.IsPipe() {
		n = 1
	}
	b.addr = b.asked
	for w := range n {
		fd, err := b.socket(w, from)
		if err != nil {
			b.close()
			return err
		}
		b.fds = append(b.fds, fd)
		if w == 0 && !b.asked.IsPipe() && b.asked.Port() == 0 {
			if b.addr, err = network.LocalName(fd); err != nil {
				b.close()
				return err
			}
		}
	}
	return nil
}

func (b *bound) socket(w int, from Inheritance) (int, error) {
	if from != nil && !b.udp {
		if fd, ok := from.Take(b.addr, w); ok {
			return fd, nil
		}
	}
	if b.udp {
		return network.BindUDP(b.addr, b.options)
	}
	fd, err := network.Bind(b.addr, b.options)
	if err != nil {
		return -1, err
	}
	if !b.addr.IsPipe() {
		// What is accepted inherits it: a system call less for each.
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	return fd, nil
}

// listen makes the sockets accept.
func (b *bound) listen() error {
	if b.listening {
		return nil
	}
	for _, fd := range b.fds {
		if b.udp {
			break
		}
		if err := b.options.Activate(fd); err != nil {
			return fmt.Errorf("listen on %v: %w", b.addr, err)
		}
	}
	b.listening = true
	return nil
}

// forWorker is the socket that a worker accepts from.
func (b *bound) forWorker(w int) (int, bool) {
	switch {
	case len(b.fds) == 0:
		return -1, false
	case len(b.fds) == 1:
		return b.fds[0], true
	}
	return b.fds[w], true
}

// release closes the sockets when no listener uses them.
func (b *bound) release() {
	if b.refs--; b.refs == 0 {
		b.close()
	}
}

func (b *bound) close() {
	for _, fd := range b.fds {
		unix.Close(fd)
	}
	b.fds = nil
	if b.asked.IsPipe() && b.asked.Path[0] != '@' && b.listening {
		unix.Unlink(b.asked.Path)
	}
}

// serves tells whether b's sockets do for a listener that asks for o.
func (b *bound) serves(o *bound) bool {
	return b.asked == o.asked && b.udp == o.udp && b.reusePort == o.reusePort && len(b.fds) > 0 && b.options.Equal(o.options)
}
