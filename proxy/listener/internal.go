package listener

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/proxy/network"
)

// internalClient is where internal connections seem to come from.
var internalClient = network.InternalAddress("internal_client_address", "")

// connectInternal makes a connection to the internal listener of that name, on
// this worker: a pair of sockets, of which the listener takes one as if it had
// been accepted. It begins with what the client's side brings, which may be nil.
func (h *handler) connectInternal(name string, addr network.Address, brings *network.Brought) (fd int, err error) {
	if h.internal[name] == nil {
		return -1, fmt.Errorf("no internal listener %q", name)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	// Not from within the call that connects.
	h.loop.Post(func() {
		al := h.internal[name]
		if al == nil {
			network.CloseFD(pair[1])
			return
		}
		s := Socket{listener: al, fd: pair[1], Local: addr, Remote: internalClient, directRemote: internalClient}
		if brings != nil {
			s.Info().Bring(brings)
		}
		al.balance(&s, source{})
	})
	return pair[0], nil
}
