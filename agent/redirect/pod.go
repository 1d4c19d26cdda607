package redirect

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/weirproxy/weir/bpf"
)

// Pod is what the kernel knows of a managed pod.
type Pod struct {
	ID     uint32
	Cookie uint64 // of its network namespace
	Name   string // for people who look at the map
	// Outbound4 and Outbound6 are its addresses and the ports of its outbound
	// listeners there: rewritten connections go to them. A pod that has no
	// address of a family has the zero AddrPort.
	Outbound4, Outbound6 netip.AddrPort
	// Own are its addresses that are never caught: those of a pod itself.
	Own []netip.Addr
	// Rewrite catches outbound connections by rewriting, not by mark.
	Rewrite bool
	// Mark is the SO_MARK of caught connections, unless Rewrite.
	Mark uint32
	// Inbound catches connections to the pod, but not to ExcludeInbound.
	Inbound        bool
	ExcludeInbound []uint16
	// What is going to ExcludeCIDRs or ExcludePorts, or comes from processes
	// of the users ExcludeUIDs, is not caught on its way out. Users are as the
	// node sees them.
	ExcludeCIDRs []netip.Prefix
	ExcludePorts []uint16
	ExcludeUIDs  []uint32
	// Loopback catches connections to loopback addresses, too. The proxy must
	// then have ProxyCgroup or be out of the programs' cgroup, or it would
	// catch its own.
	Loopback bool
	// FailOpen leaves connections alone while the proxy is silent or cannot
	// take them; otherwise they fail.
	FailOpen bool
	// External says that the proxy is not weir and does not beat.
	External bool
	// ProxyCgroup is the ID of the cgroup of a proxy in the pod's own
	// namespace: what that connects is not caught. 0: none.
	ProxyCgroup uint64
	// DNS catches the pod's DNS questions; zero: they are left alone.
	DNS DNS
}

// PutPod makes the pod's connections caught from now on, or changes how.
// Its listeners and routes must be there.
func (r *Redirect) PutPod(p Pod) error {
	if p.Rewrite {
		if err := r.EnableRewriting(); err != nil {
			return err
		}
	}
	known, err := r.isKnown(p.Cookie)
	if err != nil {
		return err
	}
	if err := r.putAddrs(p, known); err != nil {
		return err
	}
	if err := r.putExcludes(p, known); err != nil {
		return err
	}
	if err := r.putExclusions(p, known); err != nil {
		return err
	}
	if err := r.objects.WeirPods.Put(p.Cookie, p.value()); err != nil {
		return putError(bpf.WeirMapWeirPods, r.objects.WeirPods, err)
	}
	return r.putDNS(p)
}

// RemovePod leaves the pod's connections alone from now on and forgets all
// of it but its sk_lookup link.
func (r *Redirect) RemovePod(id uint32, cookie uint64) error {
	if err := r.objects.WeirPods.Delete(cookie); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("weir_pods, pod %d: %w", id, err)
	}
	return errors.Join(
		r.removeDNS(cookie),
		deleteIf(r.objects.WeirPodAddrs, func(k bpf.WeirPodAddr) bool { return k.PodId == id }),
		deleteIf(r.objects.WeirInExclude, func(k bpf.WeirPodPort) bool { return k.PodId == id }),
		r.removeExclusions(func(podID uint32) bool { return podID == id }),
		r.removeListeners(id),
	)
}

// PodCookies lists the managed pods' IDs by netns cookie, as the kernel has them.
func (r *Redirect) PodCookies() (map[uint64]uint32, error) {
	pods := map[uint64]uint32{}
	var cookie uint64
	var value bpf.WeirPod
	it := r.objects.WeirPods.Iterate()
	for it.Next(&cookie, &value) {
		pods[cookie] = value.PodId
	}
	return pods, it.Err()
}

func (p Pod) value() bpf.WeirPod {
	v := bpf.WeirPod{
		ProxyCgroup:   p.ProxyCgroup,
		PodId:         p.ID,
		Mark:          p.Mark,
		Inbound:       number[uint8](p.Inbound),
		Rewrite:       number[uint8](p.Rewrite),
		FailOpen:      number[uint8](p.FailOpen),
		External:      number[uint8](p.External),
		Loopback:      number[uint8](p.Loopback),
		OutCidrs:      number[uint8](len(p.ExcludeCIDRs) > 0),
		OutPorts:      number[uint8](len(p.ExcludePorts) > 0),
		OutUids:       number[uint8](len(p.ExcludeUIDs) > 0),
		NoOtherAddrs:  number[uint8](p.hasNoOtherAddrs()),
		Outbound4Port: p.Outbound4.Port(),
		Outbound6Port: p.Outbound6.Port(),
	}
	if p.Outbound4.IsValid() {
		v.Ip4 = p.Outbound4.Addr().As4()
	}
	if p.Outbound6.IsValid() {
		v.Ip6 = p.Outbound6.Addr().As16()
	}
	for i, c := range []byte(p.Name) {
		if i == len(v.Name)-1 { // it ends with a zero
			break
		}
		v.Name[i] = int8(c)
	}
	return v
}

// hasNoOtherAddrs reports whether Own are the addresses of Outbound4 and
// Outbound6: then the kernel needs to ask no map for them.
func (p Pod) hasNoOtherAddrs() bool {
	listening := 0
	for _, l := range []netip.AddrPort{p.Outbound4, p.Outbound6} {
		if !l.IsValid() {
			continue
		}
		if !slices.Contains(p.Own, l.Addr()) {
			return false
		}
		listening++
	}
	return listening == len(p.Own)
}

// isKnown reports whether the pod is caught already. To look for what else the
// maps have of one that is not would be in vain, and takes long with many pods.
func (r *Redirect) isKnown(cookie uint64) (bool, error) {
	var value bpf.WeirPod
	err := r.objects.WeirPods.Lookup(cookie, &value)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("weir_pods: %w", err)
	}
	return true, nil
}

func (r *Redirect) putAddrs(p Pod, known bool) error {
	want := map[bpf.WeirPodAddr]bool{}
	for _, a := range p.Own {
		want[bpf.WeirPodAddr{PodId: p.ID, Addr: a.As16()}] = true
	}
	return replaceKeys(bpf.WeirMapWeirPodAddrs, r.objects.WeirPodAddrs, want, known, func(k bpf.WeirPodAddr) bool { return k.PodId == p.ID })
}

func (r *Redirect) putExcludes(p Pod, known bool) error {
	want := map[bpf.WeirPodPort]bool{}
	for _, port := range p.ExcludeInbound {
		want[bpf.WeirPodPort{PodId: p.ID, Port: port}] = true
	}
	return replaceKeys(bpf.WeirMapWeirInExclude, r.objects.WeirInExclude, want, known, func(k bpf.WeirPodPort) bool { return k.PodId == p.ID })
}

// replaceKeys makes want the keys of m that are mine, of which there are some
// if known: new ones come before old ones go.
func replaceKeys[K comparable](name string, m *ebpf.Map, want map[K]bool, known bool, mine func(K) bool) error {
	for k := range want {
		if err := m.Put(k, uint8(1)); err != nil {
			return putError(name, m, err)
		}
	}
	if !known {
		return nil
	}
	return deleteIf(m, func(k K) bool { return mine(k) && !want[k] })
}

// removeStrays removes what an agent that was killed left of pods that it had
// only begun to catch: their IDs will be others'.
func (r *Redirect) removeStrays() error {
	if r.opts.load != nil {
		return nil // a test's layout, which the types here do not have
	}
	pods, err := r.PodCookies()
	if err != nil {
		return err
	}
	known := map[uint32]bool{}
	for _, id := range pods {
		known[id] = true
	}
	return errors.Join(
		deleteIf(r.objects.WeirPodAddrs, func(k bpf.WeirPodAddr) bool { return !known[k.PodId] }),
		deleteIf(r.objects.WeirInExclude, func(k bpf.WeirPodPort) bool { return !known[k.PodId] }),
		r.removeExclusions(func(podID uint32) bool { return !known[podID] }),
	)
}

func deleteIf[K any](m *ebpf.Map, doomed func(K) bool) error {
	keys, err := keysOf(m, doomed)
	if err != nil {
		return fmt.Errorf("%v: %w", m, err)
	}
	for _, k := range keys {
		if err := m.Delete(k); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("%v: %w", m, err)
		}
	}
	return nil
}

// keysPerCall is how many keys of a map are read at once.
const keysPerCall = 512

// keysOf are the keys of m that fit. To read them one by one would take two
// system calls for each.
func keysOf[K any](m *ebpf.Map, fits func(K) bool) (found []K, err error) {
	var cursor ebpf.MapBatchCursor
	keys, values := make([]K, keysPerCall), make([]uint8, keysPerCall)
	for {
		n, err := m.BatchLookup(&cursor, keys, values, nil)
		for _, k := range keys[:n] {
			if fits(k) {
				found = append(found, k)
			}
		}
		switch {
		case errors.Is(err, ebpf.ErrKeyNotExist):
			return found, nil
		case err != nil: // of this type of map this kernel reads no batches
			return keysOneByOne(m, fits)
		}
	}
}

func keysOneByOne[K any](m *ebpf.Map, fits func(K) bool) (found []K, err error) {
	var key K
	var value uint8
	it := m.Iterate()
	for it.Next(&key, &value) {
		if fits(key) {
			found = append(found, key)
		}
	}
	return found, it.Err()
}
