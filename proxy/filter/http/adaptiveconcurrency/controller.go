package adaptiveconcurrency

import (
	"math"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/network"
)

// settings are a GradientControllerConfig compiled; shares are of 1.
type settings struct {
	percentile  float64 // of an interval's latencies, that stands for them
	most, least uint32  // the limit's bounds
	update      time.Duration

	interval  time.Duration // between measurements of the least latency; 0: it is fixed
	fixed     time.Duration
	jitter    float64 // of interval, at most, that it takes longer
	requests  uint32  // in a measurement
	measuring uint32  // the limit meanwhile
	buffer    float64 // of the least latency, that requests may take longer
}

// patience is after how many intervals at the lowest limit the least latency is
// measured again: it may have been wrong.
const patience = 5

// controller moves the limit of requests under way: Envoy's
// GradientController.
type controller struct {
	settings
	main *network.Loop

	// What workers touch.
	limit   atomic.Uint32
	active  atomic.Int64 // requests under way
	epoch   atomic.Int64 // when the latest measurement began, in nanoseconds after base
	missing atomic.Int64 // samples of the measurement under way, 0 without one
	samples histogram    // since the latest update
	base    time.Time

	// What only main touches.
	stats             *Stats
	measured          bool   // a measurement is under way,
	deferred          uint32 // and this the limit after it
	minRTT            time.Duration
	atLeast           int // updates that left the limit at its lowest
	updater, measurer *event.Timer
	closed            bool
}

func newController(s settings, main *network.Loop, st *Stats) *controller {
	c := &controller{settings: s, main: main, stats: st, base: time.Now(), minRTT: s.fixed}
	c.updater, c.measurer = main.NewTimer(c.onUpdate), main.NewTimer(c.startMeasuring)
	c.limit.Store(s.measuring)
	st.ConcurrencyLimit.Set(int64(s.measuring))
	st.MinRTT.Set(s.fixed.Milliseconds())
	if s.interval > 0 {
		c.startMeasuring()
	}
	c.updater.Enable(s.update)
	return c
}

// close stops the timers. It is called on main.
func (c *controller) close() {
	c.closed = true
	c.updater.Release()
	c.measurer.Release()
}

// admit takes a place for a request, if there is one. Workers call it.
func (c *controller) admit() bool {
	if c.active.Add(1) > int64(c.limit.Load()) {
		c.active.Add(-1)
		return false
	}
	return true
}

// leave gives the place of a request back.
func (c *controller) leave() { c.active.Add(-1) }

// sample gives it back and counts how long the request took.
func (c *controller) sample(began, now time.Time) {
	c.leave()
	if int64(began.Sub(c.base)) < c.epoch.Load() {
		return // it began when more were let in
	}
	c.samples.add(now.Sub(began))
	if c.missing.Load() > 0 && c.missing.Add(-1) == 0 {
		c.main.Post(c.endMeasuring)
	}
}

// startMeasuring has few requests be under way, whose latency is the least.
func (c *controller) startMeasuring() {
	if c.measured {
		return
	}
	c.measured, c.deferred = true, c.limit.Load()
	c.stats.Measuring.Set(1)
	c.setLimit(c.measuring)
	c.epoch.Store(int64(time.Since(c.base)))
	c.samples.take(0)
	c.missing.Store(int64(c.requests))
}

func (c *controller) endMeasuring() {
	if !c.measured || c.closed {
		return
	}
	c.missing.Store(0)
	c.minRTT, _ = c.samples.take(c.percentile)
	c.stats.MinRTT.Set(c.minRTT.Milliseconds())
	c.setLimit(c.deferred)
	c.measured = false
	c.stats.Measuring.Set(0)
	c.measurer.Enable(c.interval + time.Duration(rand.Float64()*c.jitter*float64(c.interval)))
	c.updater.Enable(c.update)
}

// onUpdate moves the limit by the latencies since the last time.
func (c *controller) onUpdate() {
	if c.measured {
		return // its end starts the timer again
	}
	if rtt, any := c.samples.take(c.percentile); any {
		c.stats.SampleRTT.Set(rtt.Milliseconds())
		c.setLimit(c.nextLimit(rtt))
	}
	c.updater.Enable(c.update)
}

// nextLimit is by how much the requests were slower than they need be, and
// some more for them to queue.
func (c *controller) nextLimit(rtt time.Duration) uint32 {
	gradient := float64(c.minRTT) * (1 + c.buffer) / float64(rtt)
	gradient = max(0.5, min(2, gradient))
	c.stats.Gradient.Set(int64(1000 * gradient))
	limit := float64(c.limit.Load()) * gradient
	headroom := math.Sqrt(limit)
	c.stats.BurstQueueSize.Set(int64(headroom))
	return max(c.least, min(c.most, uint32(limit+headroom)))
}

func (c *controller) setLimit(n uint32) {
	old := c.limit.Swap(n)
	c.stats.ConcurrencyLimit.Set(int64(n))
	if c.measured || old != c.least || n != c.least {
		c.atLeast = 0
		return
	}
	if c.atLeast++; c.atLeast >= patience && c.interval > 0 {
		c.measurer.Enable(0)
	}
}
