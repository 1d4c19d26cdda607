package health

import (
	"math/rand/v2"
	"time"

	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/proxy/upstream/eventlog"
	"github.com/weirproxy/weir/proxy/upstream/pool"
)

// Checker is one health check of a cluster's hosts.
type Checker struct {
	o        Options
	cfg      *Config
	group    *stats.Group[checkStats]
	stats    *checkStats
	sessions map[*cluster.Host]*session
	together []*Checker // all checks of the cluster; nil for a single one
	logs     []*eventlog.Log
	healthy  int
	degraded int

	waiting int    // hosts of the first set without a result yet
	checked func() // called when there are none left
}

// Options are what Checkers work with.
type Options struct {
	Main    *network.Loop
	Info    *cluster.Info
	Dialer  pool.Dialer
	Runtime cluster.Runtime
	// Changed is called when a host's flags have changed.
	Changed func()
	// Passed is called for each check that succeeds, after the flags were set.
	Passed func(*cluster.Host)
	// Failed is called when a host has become unhealthy.
	Failed func(*cluster.Host)
	// Used tells whether the cluster has carried any traffic.
	Used func() bool
	// Checked is called once, when all hosts of the first Update have a result.
	Checked func()
}

// checkStats are "cluster.<name>.health_check.", or "….health_check.name.<check>."
// of one with a name.
type checkStats struct {
	Attempt        stats.Counter `stat:"attempt"`
	Degraded       stats.Gauge   `stat:"degraded"`
	Failure        stats.Counter `stat:"failure"`
	Healthy        stats.Gauge   `stat:"healthy"`
	NetworkFailure stats.Counter `stat:"network_failure"`
	PassiveFailure stats.Counter `stat:"passive_failure"`
	Success        stats.Counter `stat:"success"`
	VerifyCluster  stats.Counter `stat:"verify_cluster"`
}

func newChecker(o Options, cfg *Config) (*Checker, error) {
	c := &Checker{o: o, cfg: cfg, sessions: map[*cluster.Host]*session{}, checked: o.Checked}
	for _, path := range cfg.Logs {
		l, err := eventlog.Open(path)
		if err != nil {
			c.closeLogs()
			return nil, err
		}
		c.logs = append(c.logs, l)
	}
	prefix := o.Info.StatScope().Prefix + "health_check."
	if cfg.Name != "" {
		prefix += "name." + cfg.Name + "."
	}
	c.group = stats.NewGroup[checkStats](o.Info.Store, stats.Scope{Prefix: prefix})
	c.stats = c.group.For(0)
	return c, nil
}

func (c *Checker) close() {
	for _, s := range c.sessions {
		s.close()
	}
	clear(c.sessions)
	c.group.Close()
	c.closeLogs()
}

func (c *Checker) closeLogs() {
	for _, l := range c.logs {
		l.Close()
	}
	c.logs = nil
}

func (c *Checker) mark(h *cluster.Host) {
	if h.NoActiveHC {
		return
	}
	h.SetHealth(cluster.FailedActiveHC, true)
	if c.cfg.IgnoreNew {
		h.SetHealth(cluster.PendingActiveHC, true)
	}
}

// add makes the sessions of hosts that have come, and ends those of hosts that
// have gone.
func (c *Checker) add(added, gone []*cluster.Host) {
	for _, h := range gone {
		if s := c.sessions[h]; s != nil {
			c.drop(s)
		}
	}
	first := c.checked
	for _, h := range added {
		if h.NoActiveHC {
			continue
		}
		s := newSession(c, h)
		c.sessions[h] = s
		if first != nil {
			s.awaited = true
			c.waiting++
		}
	}
}

// begin starts to check hosts that were added.
func (c *Checker) begin(added []*cluster.Host) {
	for _, h := range added {
		if s := c.sessions[h]; s != nil {
			s.begin()
		}
	}
	c.reportChecked()
}

func (c *Checker) drop(s *session) {
	delete(c.sessions, s.host)
	if s.flags&cluster.FailedActiveHC == 0 {
		c.countHealthy(-1)
	}
	if s.flags&cluster.DegradedActiveHC != 0 {
		c.countDegraded(-1)
	}
	s.close()
	c.arrived(s)
}

// arrived notes that a session needs no longer be waited for.
func (c *Checker) arrived(s *session) {
	if s.awaited {
		s.awaited = false
		c.waiting--
		c.reportChecked()
	}
}

func (c *Checker) reportChecked() {
	if f := c.checked; f != nil && c.waiting == 0 {
		c.checked = nil
		c.o.Main.Post(f)
	}
}

func (c *Checker) countHealthy(n int) {
	c.healthy += n
	c.stats.Healthy.Set(int64(c.healthy))
}

func (c *Checker) countDegraded(n int) {
	c.degraded += n
	c.stats.Degraded.Set(int64(c.degraded))
}

// next is the time to the next check after a result.
func (c *Checker) next(healthy, pending bool) time.Duration {
	var d time.Duration
	switch {
	case !c.o.Used() && healthy && !pending:
		d = c.cfg.NoTrafficHealthyInterval
	case !c.o.Used():
		d = c.cfg.NoTrafficInterval
	case !healthy && pending:
		d = c.cfg.UnhealthyEdgeInterval
	case !healthy:
		d = c.cfg.UnhealthyInterval
	case pending:
		d = c.cfg.HealthyEdgeInterval
	default:
		d = c.cfg.Interval
	}
	if part := d * time.Duration(c.cfg.JitterPercent) / 100; part > 0 {
		d += rand.N(part)
	}
	if j := c.cfg.IntervalJitter; j > 0 {
		d += rand.N(j)
	}
	least := time.Duration(c.o.Runtime.Uint("health_check.min_interval", 0)) * time.Millisecond
	if most := c.o.Runtime.Uint("health_check.max_interval", 0); most > 0 {
		d = min(d, time.Duration(most)*time.Millisecond)
	}
	return max(d, least, time.Millisecond)
}
