package redirect

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"

	"github.com/weirproxy/weir/bpf"
)

// layoutVersion is that of the maps' keys and values. It changes with them,
// so that an agent never misreads what another version pinned.
const layoutVersion = 1

// DefaultDir is where the agent pins maps and links.
const DefaultDir = "/sys/fs/bpf/weir"

// Options says where to pin and what to attach to.
type Options struct {
	// Dir is a directory of a bpf file system, made if need be, for the maps
	// and links. Empty: pin nothing.
	Dir string
	// ConnectCgroup is the cgroup v2 directory whose processes' connects are
	// seen: the root of the tree for a node.
	ConnectCgroup string
	// SocketCgroup is the one whose sockets carry original destinations in
	// rewriting mode: the clients and whoever made the listening sockets.
	// Empty: ConnectCgroup.
	SocketCgroup string
}

// Redirect is the loaded programs and their maps.
type Redirect struct {
	opts    Options
	lookup  *ebpf.CollectionSpec // of weir_sk_lookup alone
	objects bpf.WeirObjects
	links   map[string]link.Link
}

// Open loads the programs, takes over the maps and links that are pinned in
// o.Dir, and catches the connects of ConnectCgroup. Replacing the programs of
// a pinned link is atomic: no connection sees none.
func Open(o Options) (*Redirect, error) {
	if o.SocketCgroup == "" {
		o.SocketCgroup = o.ConnectCgroup
	}
	raiseMemlock()
	r := &Redirect{opts: o, links: map[string]link.Link{}}
	if err := r.load(); err != nil {
		return nil, err
	}
	if err := r.checkVersion(); err != nil {
		r.Close()
		return nil, err
	}
	if err := errors.Join(r.removeStrays(), r.attachConnect()); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// raiseMemlock makes room for maps; from Linux 5.11 on their memory is
// accounted to the cgroup and this changes nothing.
func raiseMemlock() {
	if err := rlimit.RemoveMemlock(); err != nil {
		slog.Warn("cannot raise RLIMIT_MEMLOCK; on Linux before 5.11 the maps may not fit", "error", err)
	}
}

func (r *Redirect) load() error {
	spec, err := bpf.LoadWeir()
	if err != nil {
		return err
	}
	var opts ebpf.CollectionOptions
	if r.opts.Dir == "" {
		for _, m := range spec.Maps {
			m.Pinning = ebpf.PinNone
		}
	} else {
		if err := makePinDir(r.opts.Dir); err != nil {
			return err
		}
		opts.Maps.PinPath = r.opts.Dir
	}
	r.lookup = alone(spec.Copy(), skLookup)
	switch err := spec.LoadAndAssign(&r.objects, &opts); {
	case errors.Is(err, ebpf.ErrMapIncompatible):
		return fmt.Errorf("the maps in %s are of another weir version; run `weir agent cleanup` (pods are not caught until the agent is up again): %w", r.opts.Dir, err)
	case err != nil:
		var verifier *ebpf.VerifierError
		if errors.As(err, &verifier) {
			return fmt.Errorf("load eBPF programs (`weir agent check` tells what this kernel lacks): %+v", verifier)
		}
		return fmt.Errorf("load eBPF programs (`weir agent check` tells what this kernel lacks): %w", err)
	}
	return nil
}

func (r *Redirect) checkVersion() error {
	found := uint32(0)
	err := changeSettings(r.objects.WeirSettings, func(s *bpf.WeirSettings) {
		found = s.Version
		if found == 0 { // new
			s.Version = layoutVersion
		}
	})
	if err == nil && found != 0 && found != layoutVersion {
		err = fmt.Errorf("the maps in %s have layout %d, this weir knows %d; run `weir agent cleanup` (pods are not caught until the agent is up again)",
			r.opts.Dir, found, layoutVersion)
	}
	return err
}

// Close lets go of programs, maps and links. What is pinned stays and works on.
func (r *Redirect) Close() error {
	var errs []error
	for _, l := range r.links {
		errs = append(errs, l.Close())
	}
	return errors.Join(append(errs, r.objects.Close())...)
}

// HeartbeatFD is the map that the proxy beats: mmap one page of it and store
// CLOCK_MONOTONIC nanoseconds in its first 8 bytes. It is r's.
func (r *Redirect) HeartbeatFD() int { return r.objects.WeirHeartbeat.FD() }

// Dir is where everything is pinned, or empty.
func (r *Redirect) Dir() string { return r.opts.Dir }

func (r *Redirect) linkPath(name string) string {
	return filepath.Join(r.opts.Dir, linkDir, name)
}

// linkDir is under Options.Dir.
const linkDir = "links"

func makePinDir(dir string) error {
	if err := mountBPFFS(dir); err != nil {
		return err
	}
	return os.MkdirAll(filepath.Join(dir, linkDir), 0o700)
}
