package netns

import (
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ListenDNS makes a non-blocking UDP socket that takes what is sent to that port
// of any local address, and tells the address and the interface with each
// datagram (IP_PKTINFO): what does not come by lo is not the namespace's own. It
// cannot be bound to lo, as it would not reach IPv6 addresses of other
// interfaces then. port 0 takes a free one.
func (ns *NS) ListenDNS(is6 bool, port uint16) (fd int, err error) {
	err = ns.Do(func() error {
		fd, err = listenDNS(is6, port)
		return err
	})
	if err != nil {
		return -1, fmt.Errorf("listen for DNS on port %d in %s: %w", port, ns.path, err)
	}
	return fd, nil
}

func listenDNS(is6 bool, port uint16) (int, error) {
	fd, err := udpSocket(is6)
	if err != nil {
		return -1, err
	}
	addr := netip.AddrPortFrom(netip.IPv4Unspecified(), port)
	options := []sockopt{{unix.SOL_IP, unix.IP_PKTINFO, "IP_PKTINFO"}}
	if is6 {
		addr = netip.AddrPortFrom(netip.IPv6Unspecified(), port)
		options = []sockopt{
			{unix.SOL_IPV6, unix.IPV6_V6ONLY, "IPV6_V6ONLY"},
			{unix.SOL_IPV6, unix.IPV6_RECVPKTINFO, "IPV6_RECVPKTINFO"},
			// To answer from an address that is local by a route only.
			{unix.SOL_IPV6, unix.IPV6_FREEBIND, "IPV6_FREEBIND"},
		}
	}
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o.level, o.name, 1); err != nil {
			unix.Close(fd)
			return -1, os.NewSyscallError("setsockopt "+o.text, err)
		}
	}
	if err := unix.Bind(fd, sockaddr(addr)); err != nil {
		unix.Close(fd)
		return -1, os.NewSyscallError("bind", err)
	}
	return fd, nil
}

// LocalRoute makes every address of a prefix local to a namespace:
//
//	ip route add local Prefix dev lo table local src Source
type LocalRoute struct {
	Prefix netip.Prefix
	Source netip.Addr // of what is sent there from sockets that are not bound
}

// InstallLocalRoute puts r in the namespace; it may be there already.
func (ns *NS) InstallLocalRoute(r LocalRoute) error {
	return ns.withNetlink(func(h *netlink.Handle) error {
		route := r.route()
		route.Src = r.Source.AsSlice()
		if err := h.RouteReplace(route); err != nil {
			return fmt.Errorf("add local route %s (is lo up?): %w", r.Prefix, err)
		}
		return nil
	})
}

// RemoveLocalRoute takes the route to a prefix, of whatever source, out of the
// namespace. It reports what it removed, and what is not there is no error.
func (ns *NS) RemoveLocalRoute(prefix netip.Prefix) (removed []string, err error) {
	err = ns.withNetlink(func(h *netlink.Handle) error {
		err := h.RouteDel(LocalRoute{Prefix: prefix}.route())
		if err == nil {
			removed = append(removed, fmt.Sprintf("ip %s route local %s dev lo", flag(prefix.Addr()), prefix))
		} else if !isAbsent(err) {
			return fmt.Errorf("remove local route %s: %w", prefix, err)
		}
		return nil
	})
	return removed, err
}

func (r LocalRoute) route() *netlink.Route {
	return &netlink.Route{
		Family:    family(r.Prefix.Addr()),
		LinkIndex: loopback,
		Dst:       &net.IPNet{IP: r.Prefix.Addr().AsSlice(), Mask: net.CIDRMask(r.Prefix.Bits(), r.Prefix.Addr().BitLen())},
		Type:      unix.RTN_LOCAL,
		Scope:     netlink.SCOPE_HOST,
		Table:     unix.RT_TABLE_LOCAL,
	}
}
