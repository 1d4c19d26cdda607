package cluster

import (
	"fmt"
	"testing"

	"github.com/weirproxy/weir/proxy/network"
)

// set has 100 hosts, of which so many are healthy and degraded.
func set(healthy, degraded int) *HostSet {
	hosts := make([]*Host, 100)
	for i := range hosts {
		hosts[i] = NewHost(network.Address{}, "", 1, nil, 1)
		switch {
		case i < healthy:
		case i < healthy+degraded:
			hosts[i].SetHealth(DegradedEDSHealth, true)
		default:
			hosts[i].SetHealth(FailedEDSHealth, true)
		}
	}
	return NewHostSet(hosts, nil, DefaultOverprovisioning)
}

// TestPriorityLoad takes the tables of Envoy's documentation (Priority levels,
// Degraded endpoints, Panic threshold), with what rounding leaves given to the
// first priority, and by host count where all priorities panic, as its code does.
func TestPriorityLoad(t *testing.T) {
	tests := []struct {
		sets   []*HostSet
		load   string // healthy, then degraded
		panics string
	}{
		{[]*HostSet{set(100, 0), set(100, 0)}, "[100 0] [0 0]", "[false false]"},
		{[]*HostSet{set(72, 0), set(100, 0)}, "[100 0] [0 0]", "[false false]"},
		{[]*HostSet{set(71, 0), set(100, 0)}, "[99 1] [0 0]", "[false false]"},
		{[]*HostSet{set(50, 0), set(100, 0)}, "[70 30] [0 0]", "[false false]"},
		{[]*HostSet{set(25, 0), set(100, 0)}, "[35 65] [0 0]", "[false false]"},
		{[]*HostSet{set(0, 0), set(100, 0)}, "[0 100] [0 0]", "[false false]"},
		{[]*HostSet{set(25, 0), set(0, 0), set(100, 0)}, "[35 0 65] [0 0 0]", "[false false false]"},
		{[]*HostSet{set(25, 0), set(25, 0), set(100, 0)}, "[35 35 30] [0 0 0]", "[false false false]"},
		{[]*HostSet{set(25, 0), set(25, 0), set(20, 0)}, "[34 33 33] [0 0 0]", "[true true true]"},
		{[]*HostSet{set(0, 100)}, "[0] [100]", "[false]"},
		{[]*HostSet{set(50, 50)}, "[70] [30]", "[false]"},
		{[]*HostSet{set(40, 0)}, "[100] [0]", "[true]"},
		{[]*HostSet{set(0, 0)}, "[100] [0]", "[true]"},
		{[]*HostSet{NewHostSet(nil, nil, DefaultOverprovisioning)}, "[100] [0]", "[true]"},
		{[]*HostSet{set(5, 0), set(65, 0)}, "[8 92] [0 0]", "[true false]"},
	}
	for i, tt := range tests {
		p := NewPrioritySet(tt.sets, 50)
		if got := fmt.Sprint(p.Load.Healthy, " ", p.Load.Degraded); got != tt.load {
			t.Errorf("%d: load %s, want %s", i, got, tt.load)
		}
		if got := fmt.Sprint(p.Load.Panic); got != tt.panics {
			t.Errorf("%d: panic %s, want %s", i, got, tt.panics)
		}
	}
}

func TestPickFollowsTheLoad(t *testing.T) {
	l := PriorityLoad{Healthy: []uint32{35, 20}, Degraded: []uint32{0, 45}}
	got := map[string]int{}
	for n := range uint32(100) {
		p, degraded := l.Pick(n)
		got[fmt.Sprint(p, degraded)]++
	}
	if fmt.Sprint(got) != "map[0 false:35 1 false:20 1 true:45]" {
		t.Error(got)
	}
}
