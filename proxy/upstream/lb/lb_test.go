package lb

import (
	"fmt"
	"net/netip"
	"testing"

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
			b := RoundRobin{}.New(&cluster.Stats{}, prioritySet(140, nil, hs...))
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
		first[RoundRobin{}.New(&cluster.Stats{}, set).Choose(NoContext{})] = true
	}
	if len(first) != 4 {
		t.Errorf("round robin began with %d of 4 hosts", len(first))
	}
	for i, n := range picks(Random{}.New(&cluster.Stats{}, set), 8000, hs) {
		if n < 1700 || n > 2300 {
			t.Errorf("random picked host %d %d times of 8000", i, n)
		}
	}
}

func TestLeastRequest(t *testing.T) {
	hs := hosts(1, 1)
	hs[0].Active.Store(10)
	b := LeastRequest{Choices: 2, Bias: 1}.New(&cluster.Stats{}, prioritySet(140, nil, hs...))
	// The busy host is picked only when both choices fall on it.
	if got := picks(b, 4000, hs); got[0] < 800 || got[0] > 1200 {
		t.Errorf("the busy host was picked %d times of 4000, want about 1000", got[0])
	}
	b = LeastRequest{Choices: 2, FullScan: true, Bias: 1}.New(&cluster.Stats{}, prioritySet(140, nil, hs...))
	if got := picks(b, 100, hs); got[0] != 0 {
		t.Errorf("a full scan picked the busy host %d times", got[0])
	}
	// With weights: 4/(3+1) against 1/(0+1).
	hs = hosts(4, 1)
	hs[0].Active.Store(3)
	b = LeastRequest{Choices: 2, Bias: 1}.New(&cluster.Stats{}, prioritySet(140, nil, hs...))
	if got := fmt.Sprint(picks(b, 1000, hs)); got != "[500 500]" {
		t.Errorf("weighted: picked %s, want [500 500]", got)
	}
	b = LeastRequest{Choices: 2, Bias: 0}.New(&cluster.Stats{}, prioritySet(140, nil, hs...))
	if got := fmt.Sprint(picks(b, 1000, hs)); got != "[800 200]" {
		t.Errorf("without bias: picked %s, want [800 200]", got)
	}
}

func TestUnhealthyHostsAndPanic(t *testing.T) {
	hs := hosts(1, 1, 1, 1)
	hs[0].SetHealth(cluster.FailedEDSHealth, true)
	s := &cluster.Stats{}
	b := RoundRobin{}.New(s, prioritySet(140, nil, hs...))
	if got := fmt.Sprint(picks(b, 300, hs)); got != "[0 100 100 100]" {
		t.Errorf("picked %s", got)
	}
	for _, h := range hs[:3] {
		h.SetHealth(cluster.FailedEDSHealth, true)
	}
	b.Update(prioritySet(140, nil, hs...))
	if got := fmt.Sprint(picks(b, 400, hs)); got != "[100 100 100 100]" {
		t.Errorf("in panic picked %s", got)
	}
	if n := s.LB.HealthyPanic.Value(); n != 400 {
		t.Errorf("lb_healthy_panic is %d, want 400", n)
	}
	b.Update(prioritySet(140, nil))
	if h := b.Choose(NoContext{}); h != nil {
		t.Errorf("picked %v of no hosts", h.Address)
	}
}

func TestLocalityWeights(t *testing.T) {
	hs := hosts(1, 1, 1)
	localities := func() []cluster.LocalityHosts {
		return []cluster.LocalityHosts{{Weight: 1, Hosts: hs[:2]}, {Weight: 2, Hosts: hs[2:]}}
	}
	b := RoundRobin{LocalityWeighted: true}.New(&cluster.Stats{}, prioritySet(140, localities(), hs...))
	if got := fmt.Sprint(picks(b, 600, hs)); got != "[100 100 400]" {
		t.Errorf("picked %s, want [100 100 400]", got)
	}
	// One of two hosts gone: the locality keeps 1.4 / 2 of its weight.
	hs[0].SetHealth(cluster.FailedEDSHealth, true)
	b.Update(prioritySet(140, localities(), hs...))
	if got := picks(b, 2700, hs); got[0] != 0 || got[1] < 690 || got[1] > 710 {
		t.Errorf("picked %v, want about [0 700 2000]", got)
	}
}

func TestChooseDoesNotAllocate(t *testing.T) {
	set := prioritySet(140, nil, hosts(1, 2, 3)...)
	var ctx Context = NoContext{}
	for _, p := range []Policy{RoundRobin{}, LeastRequest{Choices: 2, Bias: 1}, Random{}} {
		b := p.New(&cluster.Stats{}, set)
		b.Choose(ctx)
		if n := testing.AllocsPerRun(100, func() { b.Choose(ctx) }); n != 0 {
			t.Errorf("%s: %v allocations", p.Name(), n)
		}
	}
}
