package redirect

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/internal/cgroup2"
)

// hook is a program and where it hangs in a cgroup.
type hook struct {
	name   string
	attach ebpf.AttachType
	prog   *ebpf.Program
}

func (r *Redirect) attachConnect() error {
	return r.attachCgroup(r.opts.ConnectCgroup,
		hook{"connect4", ebpf.AttachCGroupInet4Connect, r.objects.WeirConnect4},
		hook{"connect6", ebpf.AttachCGroupInet6Connect, r.objects.WeirConnect6},
	)
}

// EnableRewriting attaches what only rewriting needs. It is apart because the
// getsockopt hook costs every getsockopt of the cgroup a little. The order
// matters: the way back must be there before a connect is rewritten.
func (r *Redirect) EnableRewriting() error {
	if err := r.attachCgroup(r.opts.SocketCgroup,
		hook{"getsockopt", ebpf.AttachCGroupGetsockopt, r.objects.WeirGetsockopt},
		hook{"sockops", ebpf.AttachCGroupSockOps, r.objects.WeirSockops},
	); err != nil {
		return err
	}
	return r.attachCgroup(r.opts.ConnectCgroup,
		hook{"getpeername4", ebpf.AttachCgroupInet4GetPeername, r.objects.WeirGetpeername4},
		hook{"getpeername6", ebpf.AttachCgroupInet6GetPeername, r.objects.WeirGetpeername6},
	)
}

func (r *Redirect) attachCgroup(cgroup string, hooks ...hook) error {
	id, err := cgroup2.ID(cgroup)
	if err != nil {
		return fmt.Errorf("cgroup to attach to: %w", err)
	}
	for _, h := range hooks {
		err := r.attach(h.name, h.prog, func() (link.Link, error) {
			return link.AttachCgroup(link.CgroupOptions{Path: cgroup, Attach: h.attach, Program: h.prog})
		}, func(l link.Link) bool { return isOnCgroup(l, id) })
		if err != nil {
			return fmt.Errorf("attach %s to cgroup %s: %w", h.name, cgroup, err)
		}
	}
	return nil
}

// CheckEffective makes sure that the connects of a cgroup's processes are
// seen: another's program above it may keep ours from running there.
func (r *Redirect) CheckEffective(cgroup string) error {
	dir, err := os.Open(cgroup)
	if err != nil {
		return err
	}
	defer dir.Close()
	for _, h := range []hook{
		{"connect4", ebpf.AttachCGroupInet4Connect, r.objects.WeirConnect4},
		{"connect6", ebpf.AttachCGroupInet6Connect, r.objects.WeirConnect6},
	} {
		info, err := h.prog.Info()
		if err != nil {
			return err
		}
		id, _ := info.ID()
		got, err := link.QueryPrograms(link.QueryOptions{
			Target: int(dir.Fd()), Attach: h.attach, QueryFlags: unix.BPF_F_QUERY_EFFECTIVE,
		})
		if err != nil {
			return fmt.Errorf("query %s of %s: %w", h.name, cgroup, err)
		}
		if !slices.ContainsFunc(got.Programs, func(p link.AttachedProgram) bool { return p.ID == id }) {
			return fmt.Errorf("%s is not effective in %s: it is not below %s, or a cgroup between them overrides it", h.name, cgroup, r.opts.ConnectCgroup)
		}
	}
	return nil
}

// Namespace is a pod's network namespace.
type Namespace struct {
	PodID  uint32
	Cookie uint64
	FD     int
	Inode  uint64
	// KeepsClient says that the proxy connects to the app from the client's
	// address, by sockets of [netns.NS.TransparentSockets].
	KeepsClient bool
}

// AttachNetns gives the namespace's incoming and marked connections to the
// listeners of the pod with that netns cookie. The link ends with the
// namespace, or with DetachNetns.
func (r *Redirect) AttachNetns(ns Namespace) error {
	name := netnsLinkName(ns.PodID)
	prog, err := r.loadSkLookup(ns)
	if err != nil {
		return err
	}
	defer prog.Close()
	err = r.attach(name, prog, func() (link.Link, error) {
		return link.AttachNetNs(ns.FD, prog)
	}, func(l link.Link) bool { return isOnNetns(l, ns.Inode) })
	if err != nil {
		return fmt.Errorf("attach sk_lookup of pod %d: %w", ns.PodID, err)
	}
	return nil
}

// DetachNetns undoes AttachNetns.
func (r *Redirect) DetachNetns(podID uint32) error {
	return r.drop(netnsLinkName(podID))
}

func netnsLinkName(podID uint32) string { return fmt.Sprintf("sk_lookup_%d", podID) }

const skLookup = "weir_sk_lookup"

// alone cuts a specification down to one program and the maps and variables
// that it needs, and pins none of them.
func alone(spec *ebpf.CollectionSpec, prog string) *ebpf.CollectionSpec {
	for name := range spec.Programs {
		if name != prog {
			delete(spec.Programs, name)
		}
	}
	used := map[string]bool{}
	for _, ins := range spec.Programs[prog].Instructions {
		used[ins.Reference()] = true
	}
	for name, m := range spec.Maps {
		m.Pinning = ebpf.PinNone
		if !used[name] {
			delete(spec.Maps, name)
		}
	}
	for name, v := range spec.Variables {
		if spec.Maps[v.SectionName] == nil {
			delete(spec.Variables, name)
		}
	}
	return spec
}

// loadSkLookup loads the program once more, with a namespace's cookie as its
// constant and the maps that are loaded already.
func (r *Redirect) loadSkLookup(ns Namespace) (*ebpf.Program, error) {
	spec := r.lookup.Copy()
	if err := spec.Variables["netns_cookie"].Set(ns.Cookie); err != nil {
		return nil, fmt.Errorf("set netns_cookie: %w", err)
	}
	if err := spec.Variables["keeps_client"].Set(number[uint8](ns.KeepsClient)); err != nil {
		return nil, fmt.Errorf("set keeps_client: %w", err)
	}
	loaded := map[string]*ebpf.Map{}
	for name, m := range r.maps() {
		if spec.Maps[name] != nil {
			loaded[name] = m
		}
	}
	coll, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: loaded})
	if err != nil {
		return nil, fmt.Errorf("load sk_lookup: %w", err)
	}
	defer coll.Close()
	return coll.DetachProgram(skLookup), nil
}

// attach takes over the pinned link of that name when it is where it should
// be, and makes and pins a new one otherwise.
func (r *Redirect) attach(name string, prog *ebpf.Program, makeLink func() (link.Link, error), inPlace func(link.Link) bool) error {
	l, err := r.existing(name)
	if err != nil {
		return err
	}
	if l != nil && inPlace(l) {
		return l.Update(prog)
	}
	if l != nil {
		if err := r.drop(name); err != nil {
			return err
		}
	}
	if l, err = makeLink(); err != nil {
		return err
	}
	if r.opts.Dir != "" {
		if err := l.Pin(r.linkPath(name)); err != nil {
			l.Close()
			return err
		}
	}
	r.links[name] = l
	return nil
}

// existing is the link of that name, ours already or pinned by another; nil
// when there is none.
func (r *Redirect) existing(name string) (link.Link, error) {
	if l, ok := r.links[name]; ok || r.opts.Dir == "" {
		return l, nil
	}
	l, err := link.LoadPinnedLink(r.linkPath(name), nil)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("pinned link %s: %w", r.linkPath(name), err)
	}
	r.links[name] = l
	return l, nil
}

// drop detaches the link of that name, if there is one.
func (r *Redirect) drop(name string) error {
	l, err := r.existing(name)
	if l == nil || err != nil {
		return err
	}
	delete(r.links, name)
	if r.opts.Dir != "" {
		err = l.Unpin()
	}
	return errors.Join(err, l.Close())
}

func isOnCgroup(l link.Link, id uint64) bool {
	info, err := l.Info()
	return err == nil && info.Cgroup() != nil && info.Cgroup().CgroupId == id
}

func isOnNetns(l link.Link, inode uint64) bool {
	info, err := l.Info()
	return err == nil && info.NetNs() != nil && uint64(info.NetNs().NetnsInode) == inode
}
