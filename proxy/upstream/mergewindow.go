package upstream

import (
	"time"

	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// mergeWindow spares workers a cluster whose hosts' health, weights or metadata
// change often (common_lb_config.update_merge_window): the first change reaches
// them at once, and those of the time after it together. Hosts that come or go
// are never held back.
type mergeWindow struct {
	length time.Duration // 0: nothing is held back
	stats  *managerStats
	last   time.Duration // when workers were told; 0: never
	timer  *event.Timer
	armed  bool
}

// init has deliver called when a window ends in which something was held back.
func (w *mergeWindow) init(length time.Duration, main *network.Loop, s *managerStats, deliver func()) {
	w.length, w.stats = length, s
	w.timer = main.NewTimer(func() {
		w.armed, w.last = false, cluster.Now()
		w.stats.ClusterUpdatedViaMerge.Inc()
		deliver()
	})
}

func (w *mergeWindow) close() {
	if w.timer != nil {
		w.timer.Release()
	}
}

// holds tells whether a change is to wait; sameHosts tells that no host has
// come or gone.
func (w *mergeWindow) holds(sameHosts bool) bool {
	if w.length == 0 {
		return false
	}
	now := cluster.Now()
	over := w.last == 0 || now-w.last > w.length
	if sameHosts && !over {
		if !w.armed {
			w.timer.Enable(w.length)
			w.armed = true
		}
		return true
	}
	if sameHosts {
		w.stats.UpdateOutOfMergeWindow.Inc()
	}
	if w.armed {
		w.timer.Disable()
		w.armed = false
		w.stats.UpdateMergeCancelled.Inc()
	}
	w.last = now
	return false
}
