package upstream

import (
	"sync"

	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
)

// Table is one worker's clusters.
type Table struct {
	loop    *network.Loop
	m       *Manager
	entries map[string]*entry
	stats   *tableStats
	async   *stats.Counter // nil: nobody asks

	mu    sync.Mutex
	inbox []*snapshot // from main, not applied yet
}

// entry is a cluster's newest snapshot, and what the worker made of it.
type entry struct {
	snap  *snapshot
	local *Cluster // nil until asked for
}

// Get is the cluster with the name, nil when there is none.
func (t *Table) Get(name string) *Cluster {
	e := t.entries[name]
	if e == nil {
		return nil
	}
	if e.local == nil {
		e.local = newCluster(t, e.snap)
	}
	return e.local
}

// Loop is the worker's loop.
func (t *Table) Loop() *network.Loop { return t.loop }

// CountAsync counts a request of the proxy's own.
func (t *Table) CountAsync() {
	if t.async != nil {
		t.async.Inc()
	}
}

// send gives the worker a snapshot. Main calls it. One post carries all that
// comes until the worker gets to it.
func (t *Table) send(s *snapshot) {
	t.mu.Lock()
	first := len(t.inbox) == 0
	t.inbox = append(t.inbox, s)
	t.mu.Unlock()
	if first {
		t.loop.Post(t.receive)
	}
}

func (t *Table) receive() {
	t.mu.Lock()
	inbox := t.inbox
	t.inbox = nil
	t.mu.Unlock()
	for _, s := range inbox {
		t.apply(s)
	}
	t.stats.Inflated.Set(int64(len(t.entries)))
}

func (t *Table) apply(s *snapshot) {
	name := s.info.Name
	e := t.entries[name]
	switch {
	case s.removed:
		delete(t.entries, name)
		if e != nil && e.local != nil {
			e.local.drain()
		}
	case s.hosts == nil:
		if e != nil && e.local != nil && e.local.info == s.info {
			e.local.lose(s.failed)
		}
	case e == nil:
		t.entries[name] = &entry{snap: s}
	default:
		e.snap = s
		if e.local == nil {
			return
		}
		if e.local.info == s.info {
			e.local.update(s)
			return
		}
		// Another configuration: streams finish on the old one's connections.
		e.local.drain()
		e.local = nil
	}
}
