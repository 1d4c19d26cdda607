package netnsrig

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/vishvananda/netlink"
	vishnetns "github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/agent/netns"
	"github.com/weirproxy/weir/internal/cgroup2"
)

// Pod is a network namespace and a cgroup.
type Pod struct {
	Name       string
	Netns      string // path
	Cgroup     string // directory
	IPv4, IPv6 netip.Addr

	ns       *netns.NS
	sidecars []*Pod
}

const netnsDir = "/run/netns"

func (r *Rig) netnsName(pod string) string { return fmt.Sprintf("weir%d-%s", r.number, pod) }
func (r *Rig) netnsPath(pod string) string { return filepath.Join(netnsDir, r.netnsName(pod)) }

func (r *Rig) pod(name string) *Pod {
	return &Pod{Name: name, Netns: r.netnsPath(name), Cgroup: filepath.Join(r.cgroup, name)}
}

// AddPod makes a pod and joins it to the bridge.
func (r *Rig) AddPod(name string) (*Pod, error) {
	p := r.pod(name)
	p.IPv4, p.IPv6 = r.addrs(len(r.pods) + 2)
	r.pods = append(r.pods, p) // before, so that Close removes what failed half-way
	if err := mkdir(p.Cgroup); err != nil {
		return nil, err
	}
	if err := newNetns(r.netnsName(name)); err != nil {
		return nil, err
	}
	ns, err := netns.Open(p.Netns)
	if err != nil {
		return nil, err
	}
	p.ns = ns
	if err := r.join(p); err != nil {
		return nil, fmt.Errorf("pod %s: %w", name, err)
	}
	return p, nil
}

// vethName is the node's end of the i-th pod's pair.
func (r *Rig) vethName(i int) string { return fmt.Sprintf("weirv%d-%d", r.number, i) }

// newNetns makes a named namespace. Its thread is never used again.
func newNetns(name string) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		h, err := vishnetns.NewNamed(name)
		if err == nil {
			err = h.Close()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		return fmt.Errorf("make network namespace %s: %w", name, err)
	}
	return nil
}

func (r *Rig) join(p *Pod) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = r.vethName(len(r.pods))
	attrs.MasterIndex = r.bridge.Attrs().Index
	veth := netlink.NewVeth(attrs)
	veth.PeerName = "eth0"
	veth.PeerNamespace = netlink.NsFd(p.ns.FD())
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("add veth %s: %w", attrs.Name, err)
	}
	if err := netlink.LinkSetUp(veth); err != nil {
		return err
	}
	h, err := netlink.NewHandleAt(vishnetns.NsHandle(p.ns.FD()), unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer h.Close()
	return r.configure(h, p)
}

func (r *Rig) configure(h *netlink.Handle, p *Pod) error {
	for _, name := range []string{"lo", "eth0"} {
		link, err := h.LinkByName(name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := h.LinkSetUp(link); err != nil {
			return fmt.Errorf("bring up %s: %w", name, err)
		}
		if name == "lo" {
			continue
		}
		if err := addAddrs(h, link, p.IPv4, p.IPv6); err != nil {
			return err
		}
	}
	for _, gw := range []netip.Addr{r.Gateway4, r.Gateway6} {
		if err := h.RouteAdd(&netlink.Route{Gw: gw.AsSlice()}); err != nil {
			return fmt.Errorf("default route by %s: %w", gw, err)
		}
	}
	return nil
}

// Sidecar is another container of the pod: the same network namespace, a
// cgroup of its own. It goes with the pod.
func (p *Pod) Sidecar(name string) (*Pod, error) {
	ns, err := netns.Open(p.Netns)
	if err != nil {
		return nil, err
	}
	s := &Pod{Name: p.Name + "-" + name, Netns: p.Netns, Cgroup: p.Cgroup + "-" + name, IPv4: p.IPv4, IPv6: p.IPv6, ns: ns}
	p.sidecars = append(p.sidecars, s)
	return s, mkdir(s.Cgroup)
}

// Forget lets the rig's own hold on the namespace go: it vanishes with the last
// of its processes, sockets and mounts. Nothing can be started in it any more.
func (p *Pod) Forget() error {
	err := p.ns.Close()
	p.ns = nil
	return err
}

// close works on a pod of a rig that another process left, too.
func (p *Pod) close() error {
	var errs []error
	for _, s := range append(p.sidecars, p) {
		if s.ns != nil {
			errs = append(errs, s.ns.Close())
		}
	}
	if err := unix.Unmount(p.Netns, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		errs = append(errs, os.NewSyscallError("umount "+p.Netns, err))
	}
	return errors.Join(append(errs, ignore(os.ErrNotExist, os.Remove(p.Netns)))...)
}

// killCgroups ends every process in the cgroups under dir and removes them.
func killCgroups(dir string) error {
	below, err := filepath.Glob(filepath.Join(dir, "*", "cgroup.procs"))
	if err != nil {
		return err
	}
	var errs []error
	for _, procs := range below {
		errs = append(errs, killCgroup(filepath.Dir(procs)))
	}
	if dir != "" {
		errs = append(errs, ignore(os.ErrNotExist, os.Remove(dir)))
	}
	return errors.Join(errs...)
}

// killCgroup ends the cgroup's processes and removes it. A process leaves its
// cgroup some time after it dies, so this asks again for a while.
func killCgroup(dir string) error {
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		pids, err := cgroup2.Pids(dir)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, pid := range pids {
			unix.Kill(pid, unix.SIGKILL) // may be gone: asked again above
		}
		err = os.Remove(dir)
		if err == nil || errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("cgroup does not empty: %w", err)
		}
	}
}
