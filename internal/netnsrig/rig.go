package netnsrig

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/internal/cgroup2"
)

// Rig is a bridge and the pods on it.
type Rig struct {
	// Gateway4 and Gateway6 are the node's addresses on the bridge.
	Gateway4, Gateway6 netip.Addr

	number int
	bridge netlink.Link
	cgroup string
	pods   []*Pod
}

const maxRigs = 250

// New makes a rig without pods.
func New() (*Rig, error) {
	r := &Rig{}
	if err := r.takeNumber(); err != nil {
		return nil, err
	}
	if err := r.setUp(); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// takeNumber makes the bridge: the kernel lets only one of each name be.
func (r *Rig) takeNumber() error {
	for n := 1; n <= maxRigs; n++ {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = bridgeName(n)
		bridge := &netlink.Bridge{LinkAttrs: attrs}
		err := netlink.LinkAdd(bridge)
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("add bridge %s: %w", attrs.Name, err)
		}
		r.number, r.bridge = n, bridge
		// Whose it is, for Sweep.
		return netlink.LinkSetAlias(bridge, strconv.Itoa(os.Getpid()))
	}
	return fmt.Errorf("all of %d test rigs are in use; remove what is left of killed ones", maxRigs)
}

func bridgeName(n int) string { return fmt.Sprintf("weirbr%d", n) }

func (r *Rig) setUp() error {
	r.Gateway4, r.Gateway6 = r.addrs(1)
	if err := addAddrs(&netlink.Handle{}, r.bridge, r.Gateway4, r.Gateway6); err != nil {
		return err
	}
	if err := netlink.LinkSetUp(r.bridge); err != nil {
		return fmt.Errorf("bring up %s: %w", r.bridge.Attrs().Name, err)
	}
	mount, err := cgroup2.Mount()
	if err != nil {
		return err
	}
	r.cgroup = cgroupDir(mount, r.number)
	return mkdir(r.cgroup)
}

func cgroupDir(mount string, n int) string {
	return filepath.Join(mount, fmt.Sprintf("weir-rig%d", n))
}

// addrs are the host-th addresses of the rig's subnets.
func (r *Rig) addrs(host int) (ip4, ip6 netip.Addr) {
	ip4 = netip.AddrFrom4([4]byte{10, 77, byte(r.number), byte(host)})
	ip6 = netip.AddrFrom16([16]byte{0: 0xfd, 1: 0x77, 3: byte(r.number), 15: byte(host)})
	return ip4, ip6
}

// Pods are those added and not yet removed.
func (r *Rig) Pods() []*Pod { return r.pods }

// Close ends the pods' processes and removes all that the rig made.
func (r *Rig) Close() error {
	errs := []error{r.removeVeths(), killCgroups(r.cgroup)}
	for _, p := range r.pods {
		errs = append(errs, p.close())
	}
	r.pods = nil
	if r.bridge != nil {
		errs = append(errs, netlink.LinkDel(r.bridge))
		r.bridge = nil
	}
	return errors.Join(errs...)
}

// removeVeths removes the pods' veth pairs at once: by themselves they go
// only some time after their namespaces.
func (r *Rig) removeVeths() error {
	var errs []error
	for i := range r.pods {
		link, err := netlink.LinkByName(r.vethName(i + 1))
		if err != nil {
			continue // gone already
		}
		errs = append(errs, ignore(unix.ENODEV, netlink.LinkDel(link)))
	}
	return errors.Join(errs...)
}

// Sweep removes the rigs that processes which no longer live left behind,
// and reports which.
func Sweep() (removed []string, err error) {
	mount, err := cgroup2.Mount()
	if err != nil {
		return nil, err
	}
	for n := 1; n <= maxRigs; n++ {
		bridge, e := netlink.LinkByName(bridgeName(n))
		if e != nil {
			continue
		}
		left := &Rig{number: n, bridge: bridge, cgroup: cgroupDir(mount, n)}
		if owner, e := strconv.Atoi(bridge.Attrs().Alias); e != nil || syscall.Kill(owner, 0) == nil {
			continue
		}
		names, _ := filepath.Glob(left.netnsPath("*"))
		for _, path := range names {
			name := filepath.Base(path)[len(left.netnsName("")):]
			left.pods = append(left.pods, left.pod(name))
		}
		err = errors.Join(err, left.Close())
		removed = append(removed, bridgeName(n))
	}
	return removed, err
}

func mkdir(dir string) error {
	return ignore(os.ErrExist, os.Mkdir(dir, 0o755))
}

func ignore(expected, err error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}

func addAddrs(h *netlink.Handle, link netlink.Link, addrs ...netip.Addr) error {
	for _, a := range addrs {
		bits := 24
		if a.Is6() {
			bits = 64
		}
		addr := &netlink.Addr{IPNet: &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(bits, a.BitLen())}}
		if a.Is6() {
			addr.Flags = unix.IFA_F_NODAD // usable at once
		}
		if err := h.AddrAdd(link, addr); err != nil {
			return fmt.Errorf("add %s to %s: %w", a, link.Attrs().Name, err)
		}
	}
	return nil
}
