package lb

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// hosts are 10.0.0.1, 10.0.0.2, … with these weights.
func hosts(weights ...uint32) (hs []*cluster.Host) {
	for i, w := range weights {
		hs = append(hs, cluster.NewHost(network.IPAddress(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), 80)), "", w, nil, 1))
	}
	return hs
}

func prioritySet(overprovisioning uint32, localities []cluster.LocalityHosts, hs ...*cluster.Host) *cluster.PrioritySet {
	return cluster.NewPrioritySet([]*cluster.HostSet{cluster.NewHostSet(hs, localities, overprovisioning)}, 50)
}

func balancer(p Policy, s *cluster.Stats, hosts *cluster.PrioritySet) Balancer {
	return p.New(Env{Info: &cluster.Info{}}).Factory(hosts).New(s)
}

// picks counts how often each of the hosts is picked.
func picks(b Balancer, n int, hs []*cluster.Host) []int {
	count := map[*cluster.Host]int{}
	for range n {
		count[b.Choose(NoContext{})]++
	}
	out := make([]int, len(hs))
	for i, h := range hs {
		out[i] = count[h]
	}
	return out
}

func TestRoundRobin(t *testing.T) {
	for name, tt := range map[string]struct {
		weights []uint32
		n       int
		want    string
	}{
		"same weights":   {[]uint32{5, 5, 5}, 300, "[100 100 100]"},
		"other weights":  {[]uint32{1, 2, 3}, 600, "[100 200 300]"},
		"a single host":  {[]uint32{9}, 7, "[7]"},
		"one heavy host": {[]uint32{98, 1, 1}, 1000, "[980 10 10]"},
	} {
		t.Run(name, func(t *testing.T) {
			hs := hosts(tt.weights...)
			b := balancer(RoundRobin{}, &cluster.Stats{}, prioritySet(140, nil, hs...))
			if got := fmt.Sprint(picks(b, tt.n, hs)); got != tt.want {
				t.Errorf("picked %s, want %s", got, tt.want)
			}
		})
	}
}

func TestRandomAndRotationStart(t *testing.T) {
	hs := hosts(1, 1, 1, 1)
	set := prioritySet(140, nil, hs...)
	first := map[*cluster.Host]bool{}
	for range 200 {
		first[balancer(RoundRobin{}, &cluster.Stats{}, set).Choose(NoContext{})] = true
	}
	if len(first) != 4 {
		t.Errorf("round robin began with %d of 4 hosts", len(first))
	}
	for i, n := range picks(balancer(Random{}, &cluster.Stats{}, set), 8000, hs) {
		if n < 1700 || n > 2300 {
			t.Errorf("random picked host %d %d times of 8000", i, n)
		}
	}
}

func TestLeastRequest(t *testing.T) {
	hs := hosts(1, 1)
	hs[0].Active.Store(10)
	b := balancer(LeastRequest{Choices: 2, Bias: 1}, &cluster.Stats{}, prioritySet(140, nil, hs...))
	// The busy host is picked only when both choices fall on it.
	if got := picks(b, 4000, hs); got[0] < 800 || got[0] > 1200 {
		t.Errorf("the busy host was picked %d times of 4000, want about 1000", got[0])
	}
	b = balancer(LeastRequest{Choices: 2, FullScan: true, Bias: 1}, &cluster.Stats{}, prioritySet(140, nil, hs...))
	if got := picks(b, 100, hs); got[0] != 0 {
		t.Errorf("a full scan picked the busy host %d times", got[0])
	}
	// With weights: 4/(3+1) against 1/(0+1).
	hs = hosts(4, 1)
	hs[0].Active.Store(3)
	b = balancer(LeastRequest{Choices: 2, Bias: 1}, &cluster.Stats{}, prioritySet(140, nil, hs...))
	if got := fmt.Sprint(picks(b, 1000, hs)); got != "[500 500]" {
		t.Errorf("weighted: picked %s, want [500 500]", got)
	}
	b = balancer(LeastRequest{Choices: 2, Bias: 0}, &cluster.Stats{}, prioritySet(140, nil, hs...))
	if got := fmt.Sprint(picks(b, 1000, hs)); got != "[800 200]" {
		t.Errorf("without bias: picked %s, want [800 200]", got)
	}
}

func TestUnhealthyHostsAndPanic(t *testing.T) {
	hs := hosts(1, 1, 1, 1)
	hs[0].SetHealth(cluster.FailedEDSHealth, true)
	s := &cluster.Stats{}
	b := balancer(RoundRobin{}, s, prioritySet(140, nil, hs...))
	if got := fmt.Sprint(picks(b, 300, hs)); got != "[0 100 100 100]" {
		t.Errorf("picked %s", got)
	}
	for _, h := range hs[:3] {
		h.SetHealth(cluster.FailedEDSHealth, true)
	}
	b = balancer(RoundRobin{}, s, prioritySet(140, nil, hs...))
	if got := fmt.Sprint(picks(b, 400, hs)); got != "[100 100 100 100]" {
		t.Errorf("in panic picked %s", got)
	}
	if n := s.LB.HealthyPanic.Value(); n != 400 {
		t.Errorf("lb_healthy_panic is %d, want 400", n)
	}
	b = balancer(RoundRobin{}, s, prioritySet(140, nil))
	if h := b.Choose(NoContext{}); h != nil {
		t.Errorf("picked %v of no hosts", h.Address)
	}
}

func TestLocalityWeights(t *testing.T) {
	hs := hosts(1, 1, 1)
	localities := func() []cluster.LocalityHosts {
		return []cluster.LocalityHosts{{Weight: 1, Hosts: hs[:2]}, {Weight: 2, Hosts: hs[2:]}}
	}
	b := balancer(RoundRobin{Locality: Locality{Weighted: true}}, &cluster.Stats{}, prioritySet(140, localities(), hs...))
	if got := fmt.Sprint(picks(b, 600, hs)); got != "[100 100 400]" {
		t.Errorf("picked %s, want [100 100 400]", got)
	}
	// One of two hosts gone: the locality keeps 1.4 / 2 of its weight.
	hs[0].SetHealth(cluster.FailedEDSHealth, true)
	b = balancer(RoundRobin{Locality: Locality{Weighted: true}}, &cluster.Stats{}, prioritySet(140, localities(), hs...))
	if got := picks(b, 2700, hs); got[0] != 0 || got[1] < 690 || got[1] > 710 {
		t.Errorf("picked %v, want about [0 700 2000]", got)
	}
}

func TestChooseDoesNotAllocate(t *testing.T) {
	set := prioritySet(140, nil, hosts(1, 2, 3)...)
	var ctx Context = NoContext{}
	for _, p := range []Policy{RoundRobin{}, LeastRequest{Choices: 2, Bias: 1}, Random{}} {
		b := balancer(p, &cluster.Stats{}, set)
		b.Choose(ctx)
		if n := testing.AllocsPerRun(100, func() { b.Choose(ctx) }); n != 0 {
			t.Errorf("%s: %v allocations", p.Name(), n)
		}
	}
}

func TestSlowStart(t *testing.T) {
	hs := hosts(1, 1)
	hs[0].SetHealthySince(cluster.Now() - time.Hour)
	hs[1].SetHealthySince(cluster.Now())
	for _, tt := range []struct {
		s      SlowStart
		lo, hi int // of 1000
	}{
		{SlowStart{Window: time.Hour, Aggression: 1, MinWeight: 0.1}, 85, 95},
		{SlowStart{Window: time.Hour, Aggression: 1, MinWeight: 0.5}, 330, 337},
		{SlowStart{}, 500, 500},
	} {
		for _, p := range []Policy{RoundRobin{SlowStart: tt.s}, LeastRequest{Choices: 2, FullScan: true, SlowStart: tt.s}} {
			if tt.s.Window == 0 && p.Name() == "least_request" {
				continue
			}
			if got := picks(balancer(p, &cluster.Stats{}, prioritySet(140, nil, hs...)), 1000, hs); got[1] < tt.lo || got[1] > tt.hi {
				t.Errorf("%s %+v: the new host was picked %d times of 1000", p.Name(), tt.s, got[1])
			}
		}
	}
	s := SlowStart{Window: 100 * time.Hour, Aggression: 2}
	hs[1].SetHealthySince(cluster.Now() - 25*time.Hour)
	if f := s.factor(hs[1]); f < 0.499 || f > 0.501 { // 0.25 to the power of 1/2
		t.Errorf("factor %v", f)
	}
}

// zones has as many hosts as told in zones a, b, …; the first is the own one.
func zones(ns ...int) *cluster.HostSet {
	var all []*cluster.Host
	var ls []cluster.LocalityHosts
	for i, n := range ns {
		l := &cluster.Locality{Zone: string(rune('a' + i))}
		hs := hosts(slices.Repeat([]uint32{1}, n)...)
		for j := range hs {
			hs[j] = cluster.NewHost(hs[j].Address, "", 1, l, 1)
		}
		all = append(all, hs...)
		ls = append(ls, cluster.LocalityHosts{Locality: l, Hosts: hs})
	}
	s := cluster.NewHostSet(all, ls, 140)
	s.HasLocal = true
	return s
}

func TestZoneAwareRouting(t *testing.T) {
	for name, tt := range map[string]struct {
		zone      ZoneAware
		ups, self *cluster.HostSet
		shares    []int // of 1000 picks in each zone, within 60
	}{
		"all stays when there is room":   {DefaultZoneAware(), zones(3, 3), zones(2, 2), []int{1000, 0}},
		"half goes where capacity is":    {DefaultZoneAware(), zones(2, 6), zones(2, 2), []int{500, 500}},
		"residual capacity of two zones": {DefaultZoneAware(), zones(0, 4, 4), zones(2, 0, 0), []int{0, 500, 500}},
		"a cluster that is too small":    {DefaultZoneAware(), zones(1, 1), zones(2, 2), []int{500, 500}},
		"too small but direct is forced": {ZoneAware{Enabled: 100, MinClusterSize: 1, ForceMinHosts: 1}, zones(1, 9), zones(9, 1), []int{1000, 0}},
		"routing turned off":             {ZoneAware{Enabled: 0, MinClusterSize: 1}, zones(3, 3), zones(2, 2), []int{500, 500}},
		"no proxy in the own zone":       {DefaultZoneAware(), zones(3, 3), zones(0, 2), []int{500, 500}},
	} {
		t.Run(name, func(t *testing.T) {
			set := cluster.NewPrioritySet([]*cluster.HostSet{tt.ups}, 50)
			env := Env{Info: &cluster.Info{}, Local: func() *cluster.HostSet { return tt.self }}
			b := RoundRobin{Locality: Locality{Zone: tt.zone}}.New(env).Factory(set).New(&cluster.Stats{})
			got := map[*cluster.Locality]int{}
			for range 1000 {
				got[b.Choose(NoContext{}).Locality]++
			}
			for i, want := range tt.shares {
				if n := got[tt.ups.Localities[i].Locality]; n < want-60 || n > want+60 {
					t.Errorf("zone %d got %d of 1000, want %d", i, n, want)
				}
			}
		})
	}
}

func TestFailTrafficOnPanic(t *testing.T) {
	hs := hosts(1, 1, 1)
	hs[0].SetHealth(cluster.FailedEDSHealth, true)
	hs[1].SetHealth(cluster.FailedEDSHealth, true)
	s := &cluster.Stats{}
	if h := balancer(RoundRobin{Locality: Locality{Zone: ZoneAware{FailOnPanic: true}}}, s, prioritySet(140, nil, hs...)).Choose(NoContext{}); h != nil || s.LB.HealthyPanic.Value() != 1 {
		t.Errorf("picked %v, lb_healthy_panic %d", h, s.LB.HealthyPanic.Value())
	}
}

func TestPeek(t *testing.T) {
	hs := hosts(1, 1, 1)
	set := cluster.NewPrioritySet([]*cluster.HostSet{cluster.NewHostSet(hs, nil, 140)}, 50)
	b := RoundRobin{}.New(Env{}).Factory(set).New(&cluster.Stats{})
	var peeked []*cluster.Host
	for range 3 {
		peeked = append(peeked, b.(Peeker).Peek(NoContext{}))
	}
	if h := b.(Peeker).Peek(NoContext{}); h != nil {
		t.Errorf("a fourth of three: %v", h.Address)
	}
	for i, want := range peeked {
		if h := b.Choose(NoContext{}); h != want {
			t.Errorf("choice %d is not what was told", i)
		}
	}
	l := LeastRequest{}.New(Env{}).Factory(set).New(&cluster.Stats{})
	if h := l.(Peeker).Peek(NoContext{}); h != nil {
		t.Error("least request cannot know")
	}
}
