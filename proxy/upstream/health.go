package upstream

import (
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/proxy/upstream/eventlog"
	"github.com/weirproxy/weir/proxy/upstream/health"
	"github.com/weirproxy/weir/proxy/upstream/outlier"
)

// watchHealth starts what the cluster's configuration asks for: active health
// checks, for whose first round the cluster waits, and outlier detection.
func (c *master) watchHealth() (err error) {
	m, cfg := c.m, c.cfg
	passed := func(*cluster.Host) {}
	if cfg.outlier != nil {
		var log func([]byte)
		if m.o.OutlierLog != "" {
			if m.outliers == nil {
				if m.outliers, err = eventlog.Open(m.o.OutlierLog); err != nil {
					return err
				}
			}
			log = m.outliers.Write
		}
		c.outlier = outlier.New(outlier.Options{
			Main: m.o.Main, Owners: m.owners, Info: cfg.info, Runtime: m.o.Runtime,
			Changed: c.healthChanged, Ejected: c.hostFailed, Log: log,
		}, cfg.outlier)
		passed = c.outlier.Passed
	}
	if len(cfg.health) > 0 {
		c.checker, err = health.New(health.Options{
			Main: m.o.Main, Info: cfg.info, Dialer: m.dialer, Runtime: m.o.Runtime,
			Changed: c.healthChanged, Failed: c.hostFailed, Passed: passed, Used: cfg.info.Used.Load, Checked: cfg.warm.add(),
		}, cfg.health)
	}
	return err
}

func (c *master) stopWatching() {
	if c.outlier != nil {
		c.outlier.Close()
	}
	if c.checker != nil {
		c.checker.Close()
	}
}

// hostFailed has the workers let go of a host's connections, and takes a host
// out that only stayed because it was healthy.
func (c *master) hostFailed(h *cluster.Host) {
	c.failed = append(c.failed, h)
	c.healthChanged()
	if h.Health()&cluster.PendingDynamicRemoval != 0 && c.last != nil {
		c.m.o.Main.Post(func() {
			if !c.stopped {
				c.apply(c.last)
			}
		})
	}
}

// healthChanged sorts the hosts by their health anew, once for all that has
// changed in a turn.
func (c *master) healthChanged() {
	if c.resorting {
		return
	}
	c.resorting = true
	c.m.o.Main.Post(func() {
		if c.resorting = false; c.stopped || c.hosts == nil {
			return
		}
		sets := make([]*cluster.HostSet, len(c.hosts.Sets))
		for i, s := range c.hosts.Sets {
			sets[i] = s.Resorted()
		}
		c.setHosts(cluster.NewPrioritySet(sets, c.cfg.panicThreshold), nil, nil)
	})
}

// weighed hands the hosts out anew: the policy has changed their weights.
func (c *master) weighed() {
	if c.warm && !c.stopped {
		c.publish(nil, false)
	}
}

// stays tells whether a host that is no longer named is kept: until active
// health checks find it failed.
func (c *master) stays(h *cluster.Host) bool {
	return c.checker != nil && !c.cfg.removeAtOnce && !h.NoActiveHC && h.Health()&(cluster.FailedActiveHC|cluster.FailedEDSHealth) == 0
}
