package health

import (
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// Checkers are the health checks of one cluster. A host has a flag as long as
// one of them says so. They belong to main.
type Checkers struct {
	all   []*Checker
	group *stats.Group[togetherStats] // nil for a single check
	hosts map[*cluster.Host]struct{}  // likewise
}

// togetherStats are "cluster.<name>.health_check." where there are several
// checks, each of which counts under its name.
type togetherStats struct {
	Degraded stats.Gauge `stat:"degraded"`
	Healthy  stats.Gauge `stat:"healthy"`
}

// New makes the checkers, without hosts.
func New(o Options, cfgs []*Config) (*Checkers, error) {
	cs := &Checkers{}
	left, checked := len(cfgs), o.Checked
	o.Checked = func() {
		if left--; left == 0 {
			checked()
		}
	}
	for _, cfg := range cfgs {
		c, err := newChecker(o, cfg)
		if err != nil {
			cs.Close()
			return nil, err
		}
		cs.all = append(cs.all, c)
	}
	if len(cfgs) < 2 {
		return cs, nil
	}
	cs.group = stats.NewGroup[togetherStats](o.Info.Store, stats.Scope{Prefix: o.Info.StatScope().Prefix + "health_check."})
	cs.hosts = map[*cluster.Host]struct{}{}
	for _, c := range cs.all {
		c.together = cs.all
	}
	return cs, nil
}

// Close ends all checks.
func (cs *Checkers) Close() {
	for _, c := range cs.all {
		c.close()
	}
	if cs.group != nil {
		cs.group.Close()
	}
}

// Mark sets the flags of a host that is not checked yet, before anybody sees
// it.
func (cs *Checkers) Mark(h *cluster.Host) {
	for _, c := range cs.all {
		c.mark(h)
	}
}

// Update takes hosts that have come and gone. It is also to be called after
// Options.Changed was.
func (cs *Checkers) Update(added, gone []*cluster.Host) {
	for _, c := range cs.all {
		c.add(added, gone)
	}
	for _, c := range cs.all {
		c.begin(added)
	}
	if cs.group != nil {
		cs.count(added, gone)
	}
}

func (cs *Checkers) count(added, gone []*cluster.Host) {
	for _, h := range gone {
		delete(cs.hosts, h)
	}
	for _, h := range added {
		if !h.NoActiveHC {
			cs.hosts[h] = struct{}{}
		}
	}
	healthy, degraded := 0, 0
	for h := range cs.hosts {
		if h.Health()&cluster.FailedActiveHC == 0 {
			healthy++
		}
		if h.Health()&cluster.DegradedActiveHC != 0 {
			degraded++
		}
	}
	s := cs.group.For(0)
	s.Healthy.Set(int64(healthy))
	s.Degraded.Set(int64(degraded))
}
