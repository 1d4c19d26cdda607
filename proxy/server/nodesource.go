package server

import (
	"fmt"
	"math/rand/v2"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/agent/handoff"
	"github.com/weirproxy/weir/proxy/network"
)

// isFromClient reports whether the connection is to come from the client's
// address: one of a pod that keeps it, to the pod's own program. To anywhere
// else the answers would not find back.
func (n *node) isFromClient(key uint32, addr, bind network.Address, so []network.SocketOption) bool {
	if !bind.IsSet() || bind.IsPipe() || bind.Addr().Is4() != addr.Addr().Is4() || !isTransparent(so) {
		return false
	}
	return addr.Addr().IsLoopback() || n.pods.Has(key, addr.Addr())
}

func isTransparent(so []network.SocketOption) bool {
	for _, o := range so {
		if o.Level == unix.IPPROTO_IP && o.Name == unix.IP_TRANSPARENT || o.Level == unix.IPPROTO_IPV6 && o.Name == unix.IPV6_TRANSPARENT {
			return true
		}
	}
	return false
}

// dialFrom is Dial from the client's address.
func (n *node) dialFrom(l *network.Loop, key uint32, family handoff.Family, addr, bind network.Address, cb network.ConnectionCallbacks, o network.Options) (*network.Connection, error) {
	if fd, ok := n.client.TakeUpstream(key, family, handoff.TransparentTCP); ok {
		if err := bindClient(fd, bind.Addr()); err != nil {
			unix.Close(fd)
			return nil, err
		}
		return network.DialSocket(l, fd, addr, cb, o)
	}
	return network.DialLater(l, func() (int, error) {
		fd, err := n.client.TransparentSocket(key, family)
		if err != nil {
			return -1, err
		}
		if err := bindClient(fd, bind.Addr()); err != nil {
			unix.Close(fd)
			return -1, err
		}
		return fd, nil
	}, addr, cb, o), nil
}

// Clients rarely use these ports, and one that the client does use, for a
// connection that was caught, would be taken for that connection.
const (
	firstClientPort = 1024
	lastClientPort  = 32767
	// bindTries is how many ports are tried: some are taken by the pod's own
	// listeners.
	bindTries = 16
)

func bindClient(fd int, client netip.Addr) (err error) {
	for range bindTries {
		port := firstClientPort + rand.IntN(lastClientPort-firstClientPort+1)
		var sa unix.Sockaddr = &unix.SockaddrInet6{Addr: client.As16(), Port: port}
		if client.Is4() {
			sa = &unix.SockaddrInet4{Addr: client.As4(), Port: port}
		}
		if err = unix.Bind(fd, sa); err != unix.EADDRINUSE {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("bind to the client's address %s: %w", client, err)
	}
	return nil
}
