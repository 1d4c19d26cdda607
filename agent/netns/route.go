package netns

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	vishnetns "github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// MarkRoute is the policy routing that delivers marked connections locally,
// whatever their destination:
//
//	ip rule add fwmark Mark lookup Table pref Priority
//	ip route add local default dev lo table Table src Source
type MarkRoute struct {
	Mark     uint32
	Table    int
	Priority int
	// Sources are the pod's addresses, at most one a family: a connection's
	// source is taken from the route, and must be the pod's own.
	Sources []netip.Addr
}

// loopback is lo's index in every network namespace.
const loopback = 1

// InstallMarkRoute puts r in the namespace; what is there already stays.
func (ns *NS) InstallMarkRoute(r MarkRoute) error {
	return ns.withNetlink(func(h *netlink.Handle) error {
		for _, src := range r.Sources {
			if err := h.RouteReplace(r.route(src)); err != nil {
				return fmt.Errorf("add local default route to table %d (is lo up?): %w", r.Table, err)
			}
			if err := h.RuleAdd(r.rule(src)); err != nil && !errors.Is(err, os.ErrExist) {
				return fmt.Errorf("add rule for mark %#x: %w", r.Mark, err)
			}
		}
		return nil
	})
}

// RemoveMarkRoute takes r, of whatever sources, out of the namespace. It
// reports what it removed, and what is not there is no error.
func (ns *NS) RemoveMarkRoute(r MarkRoute) (removed []string, err error) {
	err = ns.withNetlink(func(h *netlink.Handle) error {
		for _, any := range []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
			if err := h.RuleDel(r.rule(any)); err == nil {
				removed = append(removed, fmt.Sprintf("ip %s rule fwmark %#x lookup %d", flag(any), r.Mark, r.Table))
			} else if !isAbsent(err) {
				return fmt.Errorf("remove rule for mark %#x: %w", r.Mark, err)
			}
			route := r.route(any)
			route.Src = nil
			if err := h.RouteDel(route); err == nil {
				removed = append(removed, fmt.Sprintf("ip %s route local default dev lo table %d", flag(any), r.Table))
			} else if !isAbsent(err) {
				return fmt.Errorf("remove local default route of table %d: %w", r.Table, err)
			}
		}
		return nil
	})
	return removed, err
}

// isAbsent is what the kernel answers to the removal of a rule, a route or a
// whole address family that is not there.
func isAbsent(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EAFNOSUPPORT)
}

func (r MarkRoute) rule(src netip.Addr) *netlink.Rule {
	rule := netlink.NewRule()
	rule.Family = family(src)
	rule.Mark = r.Mark
	rule.Table = r.Table
	rule.Priority = r.Priority
	return rule
}

func (r MarkRoute) route(src netip.Addr) *netlink.Route {
	any := &net.IPNet{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}
	if src.Is6() {
		any = &net.IPNet{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}
	}
	return &netlink.Route{
		Family:    family(src),
		LinkIndex: loopback,
		Dst:       any,
		Src:       src.AsSlice(),
		Type:      unix.RTN_LOCAL,
		Scope:     netlink.SCOPE_HOST,
		Table:     r.Table,
	}
}

// ErrTentative says that an IPv6 address cannot be used yet: duplicate address
// detection takes a second or two.
var ErrTentative = errors.New("is tentative: IPv6 duplicate address detection is not done")

// Addresses lists the namespace's global unicast addresses, as its interfaces
// have them; [ErrTentative] while one of them is being detected.
func (ns *NS) Addresses() ([]netip.Addr, error) {
	var out []netip.Addr
	err := ns.withNetlink(func(h *netlink.Handle) error {
		addrs, err := h.AddrList(nil, netlink.FAMILY_ALL)
		if err != nil {
			return fmt.Errorf("list addresses: %w", err)
		}
		for _, a := range addrs {
			addr, ok := netip.AddrFromSlice(a.IP)
			if addr = addr.Unmap(); !ok || !addr.IsGlobalUnicast() || a.Flags&unix.IFA_F_DADFAILED != 0 {
				continue
			}
			if a.Flags&unix.IFA_F_TENTATIVE != 0 {
				return fmt.Errorf("%s %w", addr, ErrTentative)
			}
			out = append(out, addr)
		}
		return nil
	})
	return out, err
}

func (ns *NS) withNetlink(fn func(*netlink.Handle) error) error {
	h, err := netlink.NewHandleAt(vishnetns.NsHandle(ns.FD()), unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("netlink in %s: %w", ns.path, err)
	}
	defer h.Close()
	if err := fn(h); err != nil {
		return fmt.Errorf("in %s: %w", ns.path, err)
	}
	return nil
}

func family(a netip.Addr) int {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

func flag(a netip.Addr) string {
	if a.Is4() {
		return "-4"
	}
	return "-6"
}
