package run

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/agent/netns"
	"github.com/weirproxy/weir/agent/redirect"
	"github.com/weirproxy/weir/dnsproxy"
)

// podID is the command's, as the programs and package dnsproxy know it.
const podID = 1

// names answers the command's DNS questions, to know which names the addresses
// have that it connects to. Servers that it asks by IPv6 are left alone: their
// aliases would need a route on this machine.
type names struct{ server *dnsproxy.Server }

// newNames makes the socket that takes the questions, in this network
// namespace; port is to be the pod's.
func newNames(ns *netns.NS) (fd int, port uint16, err error) {
	fd, err = ns.ListenDNS(false, 0)
	if err != nil {
		return -1, 0, err
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		unix.Close(fd)
		return -1, 0, err
	}
	return fd, uint16(name.(*unix.SockaddrInet4).Port), nil
}

// serveNames answers what comes to fd, which it takes over, once the pod is
// caught.
func serveNames(r *redirect.Redirect, cookie uint64, fd int) (*names, error) {
	slot, _, ok, err := r.DNSOf(cookie)
	if err == nil && !ok {
		err = errors.New("the command's DNS is not caught")
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	servers, err := dnsproxy.OpenServers(r.DNSServersFD(), slot)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	n := &names{dnsproxy.New(dnsproxy.Options{Dial: dialServer, Log: slog.Default()})}
	if err := n.server.Add(dnsproxy.Pod{ID: podID, Name: "weir run", Servers: servers}, []int{fd}); err != nil {
		n.server.Close()
		return nil, err
	}
	return n, nil
}

// dialServer asks as any program of this machine does: this process is not in
// the command's cgroup.
func dialServer(ctx context.Context, _ uint32, network string, server netip.AddrPort) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, network, server.String())
}

// of is an address as the command called it, if it did: NAME ADDRESS:PORT.
func (n *names) of(addrPort string) string {
	a, err := netip.ParseAddrPort(addrPort)
	if n == nil || err != nil {
		return addrPort
	}
	if name := n.server.Name(podID, a.Addr().Unmap()); name != "" {
		return name + " " + addrPort
	}
	return addrPort
}
