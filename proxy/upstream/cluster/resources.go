package cluster

import (
	"math"
	"sync/atomic"

	"github.com/weirproxy/weir/proxy/stats"
)

// Resource is one circuit breaker: a count over all workers with a bound.
// Like Envoy's it may be overrun by as many as race at the bound.
type Resource struct {
	max     uint32
	key     string // of the runtime, where it may be overridden
	runtime Runtime
	cur     atomic.Int32
	open    atomic.Bool  // as the gauge says
	left    atomic.Int64 // as the remaining_* gauge says
}

// CanCreate tells whether one more fits.
func (r *Resource) CanCreate() bool { return uint32(r.cur.Load()) < r.Max() }

// Max is the bound: what the runtime says, else what was configured.
func (r *Resource) Max() uint32 {
	return uint32(min(r.runtime.Uint(r.key, uint64(r.max)), math.MaxUint32))
}

// Count is how many there are.
func (r *Resource) Count() int { return int(r.cur.Load()) }

// Kind names a circuit breaker.
type Kind uint8

const (
	Connections Kind = iota
	Pending
	Requests
	Retries
	numKinds
)

// keys are the kinds' names in the runtime.
var keys = [numKinds]string{Connections: "max_connections", Pending: "max_pending_requests", Requests: "max_requests", Retries: "max_retries"}

// Resources are the circuit breakers of one priority
// (envoy.config.cluster.v3.CircuitBreakers.Thresholds).
type Resources struct {
	r [numKinds]Resource
	// Remaining are the remaining_* gauges, nil without track_remaining.
	Remaining *stats.Group[RemainingStats]
	// PerHostMax bounds the connections of each host; 0: no bound.
	PerHostMax uint32
	budget     *RetryBudget
}

// RetryBudget bounds retries by the share of active requests.
type RetryBudget struct {
	Percent        float64 // of active and pending requests
	MinConcurrency uint32
}

// Limits are what Resources are made from.
type Limits struct {
	Max            [numKinds]uint32
	Budget         *RetryBudget
	PerHostMax     uint32
	TrackRemaining bool
}

// DefaultLimits are Envoy's.
func DefaultLimits() Limits {
	return Limits{Max: [numKinds]uint32{1024, 1024, 1024, 3}}
}

// Set gives the breakers their bounds. Counts stay.
func (r *Resources) Set(l Limits) {
	for k := range r.r {
		r.r[k].max = l.Max[k]
	}
	r.budget, r.PerHostMax = l.Budget, l.PerHostMax
}

// Override has the runtime's keys "<prefix>max_requests" and so on win over
// the bounds of Set.
func (r *Resources) Override(runtime Runtime, prefix string) {
	for k := range r.r {
		r.r[k].runtime, r.r[k].key = runtime, prefix+keys[k]
	}
}

// Resource is one breaker.
func (r *Resources) Resource(k Kind) *Resource { return &r.r[k] }

// CanCreate tells whether the breaker lets one more through.
func (r *Resources) CanCreate(k Kind) bool {
	if k == Retries && r.budget != nil {
		return uint32(r.r[Retries].cur.Load()) < r.RetryMax()
	}
	return r.r[k].CanCreate()
}

// RetryMax is how many retries there may be now.
func (r *Resources) RetryMax() uint32 {
	if r.budget == nil {
		return r.r[Retries].Max()
	}
	active := r.r[Requests].cur.Load() + r.r[Pending].cur.Load()
	return max(uint32(r.budget.Percent/100*float64(active)), r.budget.MinConcurrency)
}

// Track keeps the remaining_* gauges in a group; main, owner 0, puts in the
// configured bounds, from which the workers take what they use.
func (r *Resources) Track(g *stats.Group[RemainingStats]) {
	r.Remaining = g
	for k := range numKinds {
		bound := int64(r.r[k].max)
		r.r[k].left.Store(bound)
		g.For(0).of(k).Set(bound)
	}
}

// Breakers are one worker's view of Resources, with the gauges that it keeps:
// their sum over the workers is 1 while a breaker is open.
type Breakers struct {
	*Resources
	stats     *BreakerStats
	remaining *RemainingStats // may be nil
}

// Breakers is an owner's view of the priority's circuit breakers.
func (i *Info) Breakers(p Priority, owner int) Breakers {
	b := Breakers{Resources: &i.Resources[p], stats: i.Stats(owner).Breakers(p)}
	if g := b.Remaining; g != nil {
		b.remaining = g.For(owner)
	}
	return b
}

// CanCreate tells whether the breaker lets one more through.
func (b Breakers) CanCreate(k Kind) bool {
	if b.budgeted(k) {
		b.settleRemaining(k)
	}
	return b.Resources.CanCreate(k)
}

// Inc and Dec count one more or less.
func (b Breakers) Inc(k Kind) { b.add(k, 1) }
func (b Breakers) Dec(k Kind) { b.add(k, -1) }

func (b Breakers) add(k Kind, n int32) {
	b.r[k].cur.Add(n)
	b.settleOpen(k)
	b.settleRemaining(k)
}

// settleOpen has the gauge tell whether the breaker is open. Other workers may
// be at it, and the runtime may have moved the bound.
func (b Breakers) settleOpen(k Kind) {
	r := &b.r[k]
	for {
		open := uint32(r.cur.Load()) >= r.Max() // whatever the budget says
		if r.open.Load() == open {
			return
		}
		if !r.open.CompareAndSwap(!open, open) {
			continue
		}
		if open {
			b.stats.open(k).Inc()
		} else {
			b.stats.open(k).Dec()
		}
	}
}

// settleRemaining has the gauge tell how many more the breaker lets through.
func (b Breakers) settleRemaining(k Kind) {
	if b.remaining == nil {
		return
	}
	r := &b.r[k]
	for {
		left, was := int64(0), r.left.Load()
		if !b.budgeted(k) {
			left = max(int64(r.Max())-int64(r.cur.Load()), 0)
		}
		if left == was {
			return
		}
		if r.left.CompareAndSwap(was, left) {
			b.remaining.of(k).Add(left - was)
		}
	}
}

// budgeted tells that the bound moves. As in Envoy remaining_retries is 0 from
// the first look at the budget on, and rq_retry_open goes by max_retries.
func (r *Resources) budgeted(k Kind) bool { return k == Retries && r.budget != nil }
