package upstream

import (
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/proxy/upstream/lb"
)

// Probe is a cluster whose hosts are checked and get no traffic: health
// discovery asks for such ones. It belongs to main.
type Probe struct{ c *master }

// NewProbe starts the health checks of a static cluster, found at path, that
// no worker sees.
func (m *Manager) NewProbe(path field.Path, c *clusterv3.Cluster) (*Probe, error) {
	cfg, err := m.compile(path, c)
	if err != nil {
		return nil, err
	}
	if cfg.kind != static || len(cfg.health) == 0 {
		cfg.warm.close()
		return nil, path.Errorf("want a static cluster with a health check")
	}
	info := cfg.info
	info.Store = m.o.Stats
	info.StatGroup = stats.NewGroup[cluster.Stats](m.o.Stats, info.StatScope())
	p := &Probe{&master{m: m, cfg: cfg, updated: time.Now(), policy: cfg.policy, discovery: staticDiscovery{}}}
	p.c.group = stats.NewGroup[endpointStats](m.o.Stats, info.StatScope())
	p.c.stats = p.c.group.For(0)
	p.c.balancing = cfg.policy.New(lb.Env{Info: info, Owners: m.owners, Main: m.o.Main, Changed: p.c.weighed})
	if err := p.c.watchHealth(); err != nil {
		p.c.stop()
		return nil, path.Wrap(err)
	}
	p.c.apply(cfg.assignment)
	return p, nil
}

// Hosts are the cluster's hosts, by priority.
func (p *Probe) Hosts() *cluster.PrioritySet { return p.c.hosts }

// Close ends the checks.
func (p *Probe) Close() { p.c.stop() }
