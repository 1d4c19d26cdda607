package lb

import (
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/proxy/upstream/orca"
)

// ClientWeighted is round robin by weights that follow from the load that
// hosts report in their responses: requests a second by utilization (gRFC
// A58).
type ClientWeighted struct {
	Robin RoundRobin
	// Blackout is how long a host must have reported before its weight counts,
	// Expiration how long the last report is good for.
	Blackout, Expiration time.Duration
	Update               time.Duration // between two looks at the weights
	Penalty              float64       // of errors: utilization a share of errors counts as
	Metrics              []string      // names whose greatest is the utilization
}

// Name implements Policy.
func (*ClientWeighted) Name() string { return "client_side_weighted_round_robin" }

// New implements Policy.
func (c *ClientWeighted) New(env Env) ThreadAware {
	w := &clientWeights{ClientWeighted: c, env: env, inner: c.Robin.New(env), data: map[*cluster.Host]*loadData{}}
	if env.Main != nil {
		w.timer = env.Main.NewTimer(w.tick)
		w.timer.Enable(c.Update)
	}
	return w
}

// clientWeights is main's part: it turns reports into weights.
type clientWeights struct {
	*ClientWeighted
	env   Env
	inner ThreadAware
	timer *event.Timer
	hosts *cluster.PrioritySet
	data  map[*cluster.Host]*loadData
}

// loadData is what workers note of a host's reports.
type loadData struct {
	weight atomic.Uint32
	last   atomic.Int64 // cluster.Now of the last report, 0 without one
	since  atomic.Int64 // and of the first of those without a gap
}

// Factory implements ThreadAware.
func (w *clientWeights) Factory(hosts *cluster.PrioritySet) Factory {
	w.hosts = hosts
	old := w.data
	w.data = make(map[*cluster.Host]*loadData, len(old))
	for h := range hosts.All {
		d := old[h]
		if d == nil {
			d = &loadData{}
			h.OnLoadReport(func(r *orca.Report) { w.take(d, r, cluster.Now()) })
		}
		w.data[h] = d
	}
	return w.inner.Factory(hosts)
}

// Close implements ThreadAware.
func (w *clientWeights) Close() {
	if w.timer != nil {
		w.timer.Release()
	}
	w.inner.Close()
}

// take notes a report, on the worker that received it.
func (w *clientWeights) take(d *loadData, r *orca.Report, now time.Duration) {
	weight, ok := w.weigh(r)
	if !ok {
		return
	}
	d.weight.Store(weight)
	if d.since.Load() == 0 {
		d.since.Store(int64(now))
	}
	d.last.Store(int64(now))
}

// weigh is the weight that a report amounts to.
func (w *ClientWeighted) weigh(r *orca.Report) (uint32, bool) {
	used := r.Application
	if used <= 0 {
		used = 0
		for _, m := range w.Metrics {
			used = max(used, r.Named[m])
		}
	}
	if used <= 0 {
		used = r.CPU
	}
	if r.QPS <= 0 || used <= 0 {
		return 0, false
	}
	if r.EPS > 0 {
		used += r.EPS / r.QPS * w.Penalty
	}
	weight := r.QPS / used
	if weight < 1 {
		return 0, false
	}
	return uint32(min(weight, math.MaxUint32)), true
}

// tick gives the hosts their weights: hosts without a valid one have the
// median of the others.
func (w *clientWeights) tick() {
	if w.hosts != nil && w.reweigh(cluster.Now()) {
		w.env.Changed()
	}
	w.timer.Enable(w.Update)
}

func (w *clientWeights) reweigh(now time.Duration) (changed bool) {
	valid := map[*cluster.Host]uint32{}
	var weights []uint32
	for h, d := range w.data {
		if v, ok := w.valid(d, now); ok {
			valid[h], weights = v, append(weights, v)
		}
	}
	def := uint32(1)
	if n := len(weights); n > 0 {
		slices.Sort(weights)
		if def = weights[n/2]; n%2 == 0 {
			def = uint32((uint64(weights[n/2-1]) + uint64(def)) / 2)
		}
	}
	for h := range w.data {
		v, ok := valid[h]
		if !ok {
			v = def
		}
		if h.Weight() != v {
			h.SetWeight(v)
			changed = true
		}
	}
	return changed
}

func (w *clientWeights) valid(d *loadData, now time.Duration) (uint32, bool) {
	last := time.Duration(d.last.Load())
	switch {
	case last == 0:
		return 0, false
	case now-last > w.Expiration:
		d.since.Store(0)
		return 0, false
	case now-time.Duration(d.since.Load()) < w.Blackout:
		return 0, false
	}
	return d.weight.Load(), true
}
