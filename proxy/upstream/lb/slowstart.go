package lb

import (
	"math"
	"slices"
	"time"

	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// SlowStart gives hosts that became healthy lately less than their weight
// (common.v3.SlowStartConfig).
type SlowStart struct {
	Window     time.Duration // 0: off
	Aggression float64       // 1: the weight grows linearly
	MinWeight  float64       // the least part of the weight, of 1
}

// concerns tells whether any of the hosts starts slowly now.
func (s *SlowStart) concerns(hosts []*cluster.Host) bool {
	return s.Window > 0 && slices.ContainsFunc(hosts, func(h *cluster.Host) bool { return s.factor(h) < 1 })
}

// factor is the part of its weight that a host has.
func (s *SlowStart) factor(h *cluster.Host) float64 {
	if s.Window == 0 || h.Usability() != cluster.Healthy {
		return 1
	}
	since, ok := h.HealthySince()
	if !ok {
		return 1
	}
	age := cluster.Now() - since
	if age >= s.Window {
		return 1
	}
	f := float64(max(age, time.Millisecond)) / float64(s.Window)
	if s.Aggression != 1 {
		f = math.Pow(f, 1/s.Aggression)
	}
	return max(f, s.MinWeight)
}
