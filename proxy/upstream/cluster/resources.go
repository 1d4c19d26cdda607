package cluster

import (
	"sync/atomic"

	"github.com/weirproxy/weir/proxy/stats"
)

// Resource is one circuit breaker: a count over all workers with a bound.
// Like Envoy's it may be overrun by as many as race at the bound.
type Resource struct {
	max uint32
	cur atomic.Int32
}

// CanCreate tells whether one more fits.
func (r *Resource) CanCreate() bool { return uint32(r.cur.Load()) < r.max }

// Max is the bound that was configured.
func (r *Resource) Max() uint32 { return r.max }

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
		return r.r[Retries].max
	}
	active := r.r[Requests].cur.Load() + r.r[Pending].cur.Load()
	return max(uint32(r.budget.Percent/100*float64(active)), r.budget.MinConcurrency)
}

// Track keeps the remaining_* gauges in a group; main, owner 0, puts in the
// bounds, from which the workers take what they use.
func (r *Resources) Track(g *stats.Group[RemainingStats]) {
	r.Remaining = g
	for k := range numKinds {
		if !r.budgeted(k) {
			g.For(0).of(k).Set(int64(r.r[k].max))
		}
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

// Inc and Dec count one more or less.
func (b Breakers) Inc(k Kind) { b.add(k, 1) }
func (b Breakers) Dec(k Kind) { b.add(k, -1) }

func (b Breakers) add(k Kind, n int32) {
	r := &b.r[k]
	now := int64(r.cur.Add(n))
	bound := int64(r.max)
	tracked := b.remaining != nil && !b.budgeted(k)
	if n > 0 {
		if tracked && now <= bound {
			b.remaining.of(k).Dec()
		}
		if now == max(bound, 1) {
			b.stats.open(k).Inc()
		}
		return
	}
	if tracked && now < bound {
		b.remaining.of(k).Inc()
	}
	if now == max(bound, 1)-1 {
		b.stats.open(k).Dec()
	}
}

// budgeted tells that the bound moves. As in Envoy remaining_retries is 0
// then, and rq_retry_open goes by max_retries.
func (r *Resources) budgeted(k Kind) bool { return k == Retries && r.budget != nil }
