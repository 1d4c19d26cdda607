package redirect

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/weirproxy/weir/bpf"
	"github.com/weirproxy/weir/internal/netnsrig"
)

// What an agent left of a pod that it had only begun to catch is not the next
// pod's with that ID.
func TestStraysAreRemoved(t *testing.T) {
	a := netnsrig.Test(t, "a")[0]
	first := load(t)
	m := manage(t, first, a, nil)
	stray := m.pod.ID + 1
	for _, put := range []struct {
		m   *ebpf.Map
		key any
	}{
		{first.objects.WeirPodAddrs, bpf.WeirPodAddr{PodId: stray, Addr: service4.Addr().As16()}},
		{first.objects.WeirInExclude, bpf.WeirPodPort{PodId: stray, Port: 80}},
		{first.objects.WeirOutPorts, bpf.WeirPodPort{PodId: stray, Port: 80}},
	} {
		if err := put.m.Put(put.key, uint8(1)); err != nil {
			t.Fatal(err)
		}
	}
	open(t, first.Dir())
	var value uint8
	for name, err := range map[string]error{
		"address":       first.objects.WeirPodAddrs.Lookup(bpf.WeirPodAddr{PodId: stray, Addr: service4.Addr().As16()}, &value),
		"inbound port":  first.objects.WeirInExclude.Lookup(bpf.WeirPodPort{PodId: stray, Port: 80}, &value),
		"outbound port": first.objects.WeirOutPorts.Lookup(bpf.WeirPodPort{PodId: stray, Port: 80}, &value),
	} {
		if !errors.Is(err, ebpf.ErrKeyNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := first.objects.WeirPodAddrs.Lookup(bpf.WeirPodAddr{PodId: m.pod.ID, Addr: a.IPv4.As16()}, &value); err != nil {
		t.Errorf("the pod's own address: %v", err)
	}
}

// Whatever is not pinned any more is again, the same maps and links.
func TestMendPins(t *testing.T) {
	a := netnsrig.Test(t, "a")[0]
	r := load(t)
	manage(t, r, a, nil)
	if n, err := r.MendPins(); n != 0 || err != nil {
		t.Errorf("pinned %d again, %v; nothing was to be", n, err)
	}
	gone := []string{filepath.Join(r.Dir(), bpf.WeirMapWeirPods), r.linkPath("connect4")}
	for _, path := range gone {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := r.MendPins(); n != len(gone) || err != nil {
		t.Errorf("pinned %d again, %v; want %d", n, err, len(gone))
	}
	m, err := ebpf.LoadPinnedMap(gone[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	want, err := r.objects.WeirPods.Info()
	if err != nil {
		t.Fatal(err)
	}
	got, err := m.Info()
	if err != nil {
		t.Fatal(err)
	}
	wantID, _ := want.ID()
	if gotID, _ := got.ID(); gotID != wantID {
		t.Errorf("map %d is pinned, want %d", gotID, wantID)
	}
	wantAnswer(t, a, service4.String(), "outbound "+service4.String())
}
