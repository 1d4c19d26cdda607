package overload

import (
	"math"
	"math/rand/v2"
	"sync/atomic"

	"github.com/weirproxy/weir/proxy/stats"
)

// trigger turns a resource's pressure into a state's value.
type trigger struct {
	monitor             int
	scaling, saturation float64 // equal for a threshold
}

func (t *trigger) value(pressure float64) float64 {
	switch {
	case pressure >= t.saturation:
		return 1
	case pressure <= t.scaling || t.scaling == t.saturation:
		return 0
	}
	return (pressure - t.scaling) / (t.saturation - t.scaling)
}

// state is how much of an action, or at a load shed point, is due: 0 is
// nothing, 1 is saturated.
type state struct {
	triggers []trigger     // none: not configured
	bits     atomic.Uint64 // of a float64
	scale    *stats.SharedGauge
}

func (s *state) value() float64 { return math.Float64frombits(s.bits.Load()) }

// chance tells, as often as the value says, that it is due.
func (s *state) chance() bool {
	v := s.value()
	return v >= 1 || v > 0 && v > rand.Float64()
}

// refresh finds the value anew, and gives the one before as well.
func (s *state) refresh(monitors []*monitor) (was, now float64) {
	for i := range s.triggers {
		t := &s.triggers[i]
		now = max(now, t.value(monitors[t.monitor].last))
	}
	was = math.Float64frombits(s.bits.Swap(math.Float64bits(now)))
	s.scale.Set(int64(now * 100))
	return was, now
}
