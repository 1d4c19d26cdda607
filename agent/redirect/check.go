package redirect

import (
	"errors"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/agent/netns"
	"github.com/weirproxy/weir/bpf"
	"github.com/weirproxy/weir/internal/cgroup2"
)

// Feature is something that the node path needs of the kernel.
type Feature struct {
	Name string `json:"name"`
	// For is what needs it.
	For string `json:"for"`
	// Kernel is the first mainline version that has it.
	Kernel string `json:"kernel"`
	// Optional features are for what must be asked for.
	Optional bool `json:"optional,omitempty"`
	// Error says what is wrong; empty: it is there.
	Error string `json:"error,omitempty"`

	probe func() error
}

// Check probes this kernel for each feature. Versions are not asked: vendors
// move features between them.
func Check() []Feature {
	raiseMemlock()
	all := neededFeatures()
	for i := range all {
		switch err := all[i].probe(); {
		case err == nil:
		case errors.Is(err, ebpf.ErrNotSupported):
			all[i].Error = "this kernel does not have it"
		case errors.Is(err, unix.EPERM):
			all[i].Error = "not permitted: CAP_NET_ADMIN and CAP_SYS_ADMIN are needed (" + err.Error() + ")"
		default:
			all[i].Error = err.Error()
		}
	}
	return all
}

func neededFeatures() []Feature {
	const outbound, inbound, rewriting, dns, both = "outbound", "inbound", "rewriting mode", "DNS", "all"
	return []Feature{
		{Name: "cgroup v2 mounted", For: both, Kernel: "4.5", probe: func() error { _, err := cgroup2.Mount(); return err }},
		{Name: "bpf file system", For: both, Kernel: "4.4", probe: func() error { return mountBPFFS(DefaultDir) }},
		{Name: "cookies of network namespaces", For: both, Kernel: "5.7", probe: probeNetnsCookie},
		mapType("socket storage maps", both, "5.2", ebpf.SkStorage),
		mapType("sockhash maps", both, "4.18", ebpf.SockHash),
		mapType("ring buffers", "flow events", "5.8", ebpf.RingBuf),
		{Name: "mmapable array maps", For: "heartbeat without capabilities", Kernel: "5.5",
			probe: func() error { return features.HaveMapFlag(features.BPF_F_MMAPABLE) }},
		helper("bpf_get_netns_cookie in connect hooks", both, "5.7", ebpf.CGroupSockAddr, asm.FnGetNetnsCookie),
		helper("bpf_sk_storage_get in connect hooks", both, "5.3", ebpf.CGroupSockAddr, asm.FnSkStorageGet),
		helper("bpf_get_current_cgroup_id in connect hooks", "proxies in the pod", "5.7", ebpf.CGroupSockAddr, asm.FnGetCurrentCgroupId),
		helper("bpf_get_current_pid_tgid in connect hooks", "flow events", "5.7", ebpf.CGroupSockAddr, asm.FnGetCurrentPidTgid),
		mapType("LPM tries", "exclusions by range", "4.11", ebpf.LPMTrie),
		helper("bpf_get_current_uid_gid in connect hooks", "exclusions by user", "4.18", ebpf.CGroupSockAddr, asm.FnGetCurrentUidGid),
		program("connect4 (bpf_setsockopt: SO_MARK, SO_BINDTODEVICE)", outbound, "5.8", bpf.WeirProgWeirConnect4),
		program("connect6 (bpf_setsockopt: SO_MARK, SO_BINDTODEVICE)", outbound, "5.8", bpf.WeirProgWeirConnect6),
		{Name: "links to cgroups", For: both, Kernel: "5.7", probe: probeCgroupLink},
		helper("bpf_sk_assign in sk_lookup", "mark mode, inbound", "5.9", ebpf.SkLookup, asm.FnSkAssign),
		program("sk_lookup", "mark mode, inbound", "5.9", bpf.WeirProgWeirSkLookup),
		{Name: "the interface in sk_lookup", For: "keep_client_address", Kernel: "5.17", Optional: true, probe: probeIngressInterface},
		{Name: "transparent sockets", For: inbound + ", mark mode", Kernel: "2.6.28", probe: probeTransparent},
		helper("bpf_sk_storage_get in sockops", rewriting, "5.3", ebpf.SockOps, asm.FnSkStorageGet),
		program("sockops", rewriting, "5.3", bpf.WeirProgWeirSockops),
		helper("bpf_sk_storage_get in getsockopt", rewriting, "5.3", ebpf.CGroupSockopt, asm.FnSkStorageGet),
		program("getsockopt", rewriting, "5.3", bpf.WeirProgWeirGetsockopt),
		program("getpeername4", rewriting, "5.8", bpf.WeirProgWeirGetpeername4),
		program("getpeername6", rewriting, "5.8", bpf.WeirProgWeirGetpeername6),
		program("sendmsg4", dns, "5.7", bpf.WeirProgWeirDnsSendmsg4),
		program("sendmsg6", dns, "5.7", bpf.WeirProgWeirDnsSendmsg6),
		program("recvmsg4", dns, "5.7", bpf.WeirProgWeirDnsRecvmsg4),
		program("recvmsg6", dns, "5.7", bpf.WeirProgWeirDnsRecvmsg6),
		program("getpeername4 of DNS", dns, "5.8", bpf.WeirProgWeirDnsGetpeername4),
		program("getpeername6 of DNS", dns, "5.8", bpf.WeirProgWeirDnsGetpeername6),
	}
}

func mapType(name, what, kernel string, t ebpf.MapType) Feature {
	return Feature{Name: name, For: what, Kernel: kernel, probe: func() error { return features.HaveMapType(t) }}
}

func helper(name, what, kernel string, t ebpf.ProgramType, f asm.BuiltinFunc) Feature {
	return Feature{Name: name, For: what, Kernel: kernel, probe: func() error { return features.HaveProgramHelper(t, f) }}
}

// program is the surest probe: it loads weir's own, with its maps.
func program(name, what, kernel, prog string) Feature {
	return Feature{Name: "program " + name, For: what, Kernel: kernel, probe: func() error {
		coll, err := loadAlone(prog)
		if err != nil {
			return err
		}
		coll.Close()
		return nil
	}}
}

// probeIngressInterface loads sk_lookup as pods have it that keep their
// clients' addresses.
func probeIngressInterface() error {
	coll, err := loadAlone(bpf.WeirProgWeirSkLookup, func(spec *ebpf.CollectionSpec) error {
		return spec.Variables["keeps_client"].Set(uint8(1))
	})
	if err != nil {
		return err
	}
	coll.Close()
	return nil
}

func loadAlone(prog string, change ...func(*ebpf.CollectionSpec) error) (*ebpf.Collection, error) {
	spec, err := bpf.LoadWeir()
	if err != nil {
		return nil, err
	}
	spec = alone(spec, prog)
	for _, f := range change {
		if err := f(spec); err != nil {
			return nil, err
		}
	}
	return ebpf.NewCollection(spec)
}

// probeCgroupLink attaches to this process's cgroup for a moment. As no pod is
// in the program's maps, it leaves everyone alone.
func probeCgroupLink() error {
	dir, err := cgroup2.Self()
	if err != nil {
		return err
	}
	coll, err := loadAlone(bpf.WeirProgWeirConnect4)
	if err != nil {
		return err
	}
	defer coll.Close()
	cgroup, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer cgroup.Close()
	l, err := link.AttachRawLink(link.RawLinkOptions{
		Target: int(cgroup.Fd()), Program: coll.Programs[bpf.WeirProgWeirConnect4], Attach: ebpf.AttachCGroupInet4Connect,
	})
	if err != nil {
		return err
	}
	return l.Close()
}

func probeNetnsCookie() error {
	ns, err := netns.Current()
	if err != nil {
		return err
	}
	defer ns.Close()
	_, err = NetnsCookie(ns)
	return err
}

func probeTransparent() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_TRANSPARENT, 1)
}
