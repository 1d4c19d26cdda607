package redirect

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/weirproxy/weir/bpf"
	"github.com/weirproxy/weir/bpf/otherlayout"
	"github.com/weirproxy/weir/internal/cgroup2"
	"github.com/weirproxy/weir/internal/netnsrig"
)

// An upgrade to a version whose maps have another layout, and the way back,
// under connections all the time: none fails and none escapes.
func TestOtherLayout(t *testing.T) {
	for name, rewrite := range map[string]bool{"mark": false, "rewrite": true} {
		t.Run(name, func(t *testing.T) {
			rig := netnsrig.Test(t, "a", "server")
			r := load(t)
			serveApp(t, rig[1], ":81")
			a := manage(t, r, rig[0], func(p *Pod) {
				p.Rewrite = rewrite
				p.ExcludeInbound, p.ExcludePorts = []uint16{9090}, []uint16{81}
				p.ExcludeCIDRs = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
			})
			a.serve(":9090")
			a.left = true // with the maps, at the end
			stop := keepConnecting(t, rig)
			before, err := r.Counters()
			if err != nil {
				t.Fatal(err)
			}

			other := openOther(t, r.Dir())
			for _, name := range []string{bpf.WeirMapWeirPods, bpf.WeirMapWeirPodAddrs, bpf.WeirMapWeirInExclude, bpf.WeirMapWeirOutPorts, bpf.WeirMapWeirCounters} {
				if sameMap(t, r.maps()[name], other.maps()[name]) {
					t.Errorf("%s is the same for both; nothing is tested", name)
				}
			}
			for _, name := range []string{bpf.WeirMapWeirListeners, bpf.WeirMapWeirSkBypass, bpf.WeirMapWeirHeartbeat, bpf.WeirMapWeirSkOrig} {
				if !sameMap(t, r.maps()[name], other.maps()[name]) {
					t.Errorf("%s is not taken over", name)
				}
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			ns := Namespace{PodID: a.pod.ID, Cookie: a.pod.Cookie, FD: a.ns.FD(), Inode: a.ns.Inode()}
			if err := other.AttachNetns(ns); err != nil {
				t.Fatal(err)
			}
			if err := other.Close(); err != nil {
				t.Fatal(err)
			}

			again := open(t, other.Dir())
			if err := again.AttachNetns(ns); err != nil {
				t.Fatal(err)
			}
			if after, err := again.Counters(); err != nil || after["inbound"] < before["inbound"] || after["inbound"] == 0 {
				t.Errorf("counters %v, before %v, %v", after, before, err)
			}
			stop()
			var got bpf.WeirPod
			if err := again.objects.WeirPods.Lookup(a.pod.Cookie, &got); err != nil || got != a.pod.value() {
				t.Errorf("the pod after both: %+v, %v; want %+v", got, err, a.pod.value())
			}
			if left, err := filepath.Glob(filepath.Join(again.Dir(), "*_new")); err != nil || len(left) > 0 {
				t.Errorf("left: %q, %v", left, err)
			}
			a.r = again
			a.pod.ExcludePorts = nil
			a.put()
			wantAnswer(t, a.Pod, rig[1].IPv4.String()+":81", "outbound "+rig[1].IPv4.String()+":81")
		})
	}
}

// The same for a pod whose DNS is caught: its questions are answered throughout,
// by servers of before and after.
func TestOtherLayoutWithDNS(t *testing.T) {
	rig := netnsrig.Test(t, "a", "server")
	r := load(t)
	a := manage(t, r, rig[0], nil)
	a.left = true
	proxy := a.withDNS()
	nameserver(t, rig[1], netip.MustParseAddr("192.0.2.1"))
	ask := func(server netip.Addr) {
		t.Helper()
		before := proxy.Stats.Questions.Load()
		out, err := a.Output(t.Context(), "python3", "-c", asker, "unconnected", server.String())
		if want := fmt.Sprintf("0 %s 53 - 192.0.2.1", server); err != nil || !strings.HasSuffix(strings.TrimSpace(out), want) {
			t.Errorf("%v\n%s\nwant %s", err, out, want)
		}
		if proxy.Stats.Questions.Load() != before+1 {
			t.Errorf("%s was asked past the proxy", server)
		}
	}
	another := netip.MustParseAddr("203.0.113.53")
	if out, err := rig[1].Output(t.Context(), "ip", "addr", "add", another.String()+"/32", "dev", "lo"); err != nil {
		t.Fatal(err, out)
	}
	if out, err := a.Output(t.Context(), "ip", "route", "add", another.String(), "via", rig[1].IPv4.String()); err != nil {
		t.Fatal(err, out)
	}
	slot, _, _, err := r.DNSOf(a.pod.Cookie)
	if err != nil {
		t.Fatal(err)
	}
	// follow is what an agent does that comes after another, and has the proxy do.
	follow := func(next *Redirect) {
		t.Helper()
		if sameMap(t, a.r.objects.WeirDnsServers, next.objects.WeirDnsServers) || sameMap(t, a.r.objects.WeirDnsPods, next.objects.WeirDnsPods) {
			t.Error("the maps are the same for both; nothing is tested")
		}
		if err := a.r.Close(); err != nil {
			t.Fatal(err)
		}
		a.r = next
		if err := proxy.MoveServers(a.pod.ID, next.DNSServersFD(), slot); err != nil {
			t.Fatal(err)
		}
	}
	ask(rig[1].IPv4)
	follow(openOther(t, r.Dir()))
	ask(rig[1].IPv4)
	ask(another)
	follow(open(t, r.Dir()))
	ask(rig[1].IPv4)
	ask(another)
	ask(rig[1].IPv6)
	if got, _, ok, err := a.r.DNSOf(a.pod.Cookie); got != slot || !ok || err != nil {
		t.Errorf("slot %d, %v, %v; want %d", got, ok, err, slot)
	}
}

// keepConnecting connects by all ways until it is told to stop, and then says
// which did not go as they should.
func keepConnecting(t *testing.T, rig []*netnsrig.Pod) (stop func()) {
	a, server := rig[0], rig[1]
	port := func(ip netip.Addr, port uint16) string { return netip.AddrPortFrom(ip, port).String() }
	done := make(chan struct{})
	var wg sync.WaitGroup
	for _, way := range []struct {
		from     *netnsrig.Pod
		to, want string
	}{
		{a, service4.String(), "outbound " + service4.String()},
		{a, service6.String(), "outbound " + service6.String()},
		{server, port(a.IPv4, 80), "inbound " + port(a.IPv4, 80)},
		{server, port(a.IPv4, 9090), "app"},
		{a, port(server.IPv4, 81), "app"},
	} {
		wg.Go(func() {
			for n := 0; ; n++ {
				if got := ask(t, way.from, way.to); got != way.want {
					t.Errorf("connection %d of %s to %s: %q, want %q", n, way.from.Name, way.to, got, way.want)
					return
				}
				select {
				case <-done:
					if n < 20 {
						continue
					}
					t.Logf("%d connections of %s to %s", n, way.from.Name, way.to)
					return
				default:
				}
			}
		})
	}
	return func() { close(done); wg.Wait() }
}

func openOther(t *testing.T, dir string) *Redirect {
	t.Helper()
	root, err := cgroup2.Mount()
	if err != nil {
		t.Fatal(err)
	}
	r, err := Open(Options{Dir: dir, ConnectCgroup: root, load: otherlayout.LoadOther})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func sameMap(t *testing.T, a, b *ebpf.Map) bool {
	t.Helper()
	var ids [2]ebpf.MapID
	for i, m := range []*ebpf.Map{a, b} {
		info, err := m.Info()
		if err != nil {
			t.Fatal(err)
		}
		ids[i], _ = info.ID()
	}
	return ids[0] == ids[1]
}

func TestConvert(t *testing.T) {
	from := layout{8, []member{{"a", 0, 4, false}, {"b", 4, 2, false}, {"gone", 6, 2, false}}}
	to := layout{12, []member{{"b", 0, 4, false}, {"new", 4, 4, false}, {"a", 8, 4, false}}}
	in := make([]byte, 8)
	putUint(in[0:4], 7)
	putUint(in[4:6], 515)
	putUint(in[6:8], 9)
	out := from.convert(in, to)
	if uintOf(out[0:4]) != 515 || uintOf(out[4:8]) != 0 || uintOf(out[8:12]) != 7 {
		t.Errorf("%v", out)
	}
}

// What sockets have cannot be copied from one map to another.
func TestBypassNeverChanges(t *testing.T) {
	r := load(t)
	all, err := bpf.LoadWeir()
	if err != nil {
		t.Fatal(err)
	}
	spec := all.Maps[bpf.WeirMapWeirSkBypass]
	spec.ValueSize, spec.Value = 8, nil
	if m, err := succeed(spec, r.objects.WeirSkBypass); err == nil {
		m.Close()
		t.Error("the map of the proxy's own sockets is replaced")
	}
}
