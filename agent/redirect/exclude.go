package redirect

import (
	"errors"
	"net/netip"

	"github.com/weirproxy/weir/bpf"
)

// putExclusions makes p's the outbound exclusions of the pod, which has some if known.
func (r *Redirect) putExclusions(p Pod, known bool) error {
	cidrs := map[bpf.WeirPodCidr]bool{}
	for _, c := range p.ExcludeCIDRs {
		cidrs[cidrKey(p.ID, c)] = true
	}
	ports := map[bpf.WeirPodPort]bool{}
	for _, port := range p.ExcludePorts {
		ports[bpf.WeirPodPort{PodId: p.ID, Port: port}] = true
	}
	uids := map[bpf.WeirPodUid]bool{}
	for _, uid := range p.ExcludeUIDs {
		uids[bpf.WeirPodUid{PodId: p.ID, Uid: uid}] = true
	}
	return errors.Join(
		replaceKeys(bpf.WeirMapWeirOutCidrs, r.objects.WeirOutCidrs, cidrs, known, func(k bpf.WeirPodCidr) bool { return k.PodId == p.ID }),
		replaceKeys(bpf.WeirMapWeirOutPorts, r.objects.WeirOutPorts, ports, known, func(k bpf.WeirPodPort) bool { return k.PodId == p.ID }),
		replaceKeys(bpf.WeirMapWeirOutUids, r.objects.WeirOutUids, uids, known, func(k bpf.WeirPodUid) bool { return k.PodId == p.ID }),
	)
}

// cidrKey is c in the map: a prefix of the pod's ID and an IPv6 address.
func cidrKey(podID uint32, c netip.Prefix) bpf.WeirPodCidr {
	bits := c.Bits()
	if c.Addr().Is4() {
		bits += 96 // ::ffff:0:0/96
	}
	return bpf.WeirPodCidr{PrefixLen: uint32(32 + bits), PodId: podID, Addr: c.Masked().Addr().As16()}
}
