package lb

import (
	"math"
	"math/rand/v2"

	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// RoundRobin takes the hosts in turn, in proportion to their weights.
type RoundRobin struct {
	Locality  Locality
	SlowStart SlowStart
}

// Name implements Policy.
func (RoundRobin) Name() string { return "round_robin" }

// New implements Policy.
func (r RoundRobin) New(env Env) ThreadAware { return r.Locality.threadAware(env, r.newPicker) }

// newPicker starts at a random host, so that many proxies (and workers)
// started together don't all turn to the same one first.
func (r RoundRobin) newPicker(hosts []*cluster.Host) picker {
	if sameWeights(hosts) && !r.SlowStart.concerns(hosts) {
		return &rotation{hosts, rand.IntN(len(hosts))}
	}
	s := newSchedule(hosts, func(h *cluster.Host) float64 { return float64(h.Weight()) * r.SlowStart.factor(h) })
	for range rand.IntN(len(hosts)) {
		s.pick()
	}
	return s
}

type rotation struct {
	hosts []*cluster.Host
	next  int
}

func (r *rotation) pick() *cluster.Host {
	if r.next >= len(r.hosts) {
		r.next = 0
	}
	r.next++
	return r.hosts[r.next-1]
}

// schedule picks by weights that differ.
type schedule struct {
	edf    edf[*cluster.Host]
	weight func(*cluster.Host) float64
}

func newSchedule(hosts []*cluster.Host, weight func(*cluster.Host) float64) *schedule {
	s := &schedule{weight: weight}
	s.edf.heap = make([]edfItem[*cluster.Host], 0, len(hosts))
	for _, h := range hosts {
		s.edf.add(weight(h), h)
	}
	return s
}

func (s *schedule) pick() *cluster.Host { return s.edf.pick(s.weight) }

// LeastRequest takes the host with the fewest active requests of some picked
// at random; with weights that differ it takes hosts in turn, by weight
// divided by (active + 1) to the power of the bias.
type LeastRequest struct {
	Choices   int // at least 1
	Bias      float64
	FullScan  bool
	Locality  Locality
	SlowStart SlowStart
}

// Name implements Policy.
func (LeastRequest) Name() string { return "least_request" }

// NeedsActive implements ActiveSharer.
func (LeastRequest) NeedsActive() bool { return true }

// New implements Policy.
func (l LeastRequest) New(env Env) ThreadAware { return l.Locality.threadAware(env, l.newPicker) }

func (l LeastRequest) newPicker(hosts []*cluster.Host) picker {
	switch {
	case !sameWeights(hosts) || l.SlowStart.concerns(hosts):
		return newSchedule(hosts, l.weight)
	case l.FullScan:
		return &fullScan{hosts}
	}
	return &choices{hosts, max(l.Choices, 1)}
}

func (l LeastRequest) weight(h *cluster.Host) float64 {
	w := float64(h.Weight()) * l.SlowStart.factor(h)
	switch active := float64(h.Active.Load()); l.Bias {
	case 0:
		return w
	case 1:
		return w / (active + 1)
	default:
		return w / math.Pow(active+1, l.Bias)
	}
}

type choices struct {
	hosts []*cluster.Host
	n     int
}

func (c *choices) pick() *cluster.Host {
	best := c.hosts[rand.IntN(len(c.hosts))]
	if len(c.hosts) == 1 {
		return best
	}
	for range c.n - 1 {
		if h := c.hosts[rand.IntN(len(c.hosts))]; h.Active.Load() < best.Active.Load() {
			best = h
		}
	}
	return best
}

// byLoad tells that the next pick depends on what is under way then.
func (*choices) byLoad()  {}
func (*fullScan) byLoad() {}

// fullScan looks at all hosts; of those with equally few requests each is as
// likely.
type fullScan struct{ hosts []*cluster.Host }

func (f *fullScan) pick() *cluster.Host {
	var best *cluster.Host
	least, ties := int32(math.MaxInt32), 0
	for _, h := range f.hosts {
		switch a := h.Active.Load(); {
		case a < least:
			best, least, ties = h, a, 1
		case a == least:
			if ties++; rand.IntN(ties) == 0 {
				best = h
			}
		}
	}
	return best
}

// Random takes any host.
type Random struct{ Locality Locality }

// Name implements Policy.
func (Random) Name() string { return "random" }

// New implements Policy.
func (r Random) New(env Env) ThreadAware {
	return r.Locality.threadAware(env, func(hosts []*cluster.Host) picker { return random(hosts) })
}

type random []*cluster.Host

func (r random) pick() *cluster.Host { return r[rand.IntN(len(r))] }
