package upstream

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/proxy/upstream/outlier"
)

// Status is a cluster as /clusters shows it.
type Status struct {
	Info       *cluster.Info
	EDSService string // "" when it has no endpoints from EDS
	EDSName    string // service_name, "" when the cluster's own name serves
	// Dropped are the requests that a full circuit breaker or the endpoints'
	// policy has ended, DropOverload those of the policy, of DropCategory.
	Dropped, DropOverload uint64
	DropCategory          string
	Overprovisioning      uint32 // percent
	Hosts                 []HostStatus
	Outlier               *[2]outlier.Rates // by cluster.RateKind; nil without outlier detection
}

// HostStatus is a host with its counters, summed over the workers.
type HostStatus struct {
	*cluster.Host
	Stats          cluster.HostStats
	LocalityWeight uint32     // 0: its locality has none
	SuccessRate    [2]float64 // by cluster.RateKind, percent; -1 without a figure
}

// Status lists the active clusters by name. It may be called from any
// goroutine, and waits for main and for each worker to pass by.
func (m *Manager) Status(ctx context.Context) ([]Status, error) {
	var out []Status
	err := on(ctx, m.o.Main, func() { out = m.status() })
	if err != nil {
		return nil, err
	}
	for _, t := range m.tables {
		if err := on(ctx, t.loop, func() { addCounters(out, t.loop.Worker) }); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// on runs f on a loop and waits for it.
func on(ctx context.Context, l *network.Loop, f func()) error {
	done := make(chan struct{})
	l.Post(func() { f(); close(done) })
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("clusters: %s did not answer: %w", l.Name(), context.Cause(ctx))
	}
}

func (m *Manager) status() []Status {
	out := make([]Status, 0, len(m.active))
	for _, c := range m.active {
		s := Status{Info: c.cfg.info, Dropped: c.cfg.info.Dropped.Load(), DropOverload: c.cfg.info.DropOverload.Load(), DropCategory: c.category, Overprovisioning: c.hosts.Sets[0].Overprovisioning}
		if c.cfg.eds != nil {
			s.EDSService, s.EDSName = c.cfg.eds.service, c.cfg.eds.given
		}
		if d := c.outlier; d != nil {
			s.Outlier = &[2]outlier.Rates{d.Rates(cluster.ExternalOrigin), d.Rates(cluster.LocalOrigin)}
		}
		for h := range c.hosts.All {
			hs := HostStatus{Host: h, LocalityWeight: localityWeight(c.hosts.Sets, h), SuccessRate: [2]float64{-1, -1}}
			if d := c.outlier; d != nil {
				hs.SuccessRate = [2]float64{d.HostRate(h, cluster.ExternalOrigin), d.HostRate(h, cluster.LocalOrigin)}
			}
			s.Hosts = append(s.Hosts, hs)
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b Status) int { return strings.Compare(a.Info.Name, b.Info.Name) })
	return out
}

func addCounters(out []Status, owner int) {
	for i := range out {
		for j := range out[i].Hosts {
			h := &out[i].Hosts[j]
			if s := h.StatsIfAny(owner); s != nil {
				h.Stats.Add(s)
			}
		}
	}
}

// Config is a cluster's configuration, for /config_dump.
type Config struct {
	Name    string
	Raw     []byte // an encoded envoy.config.cluster.v3.Cluster
	Version string
	Updated time.Time
	Static  bool
	Warming bool
}

// Configs lists the configurations by name, active ones before those that
// warm to replace them. Main only.
func (m *Manager) Configs() []Config {
	var out []Config
	add := func(set map[string]*master, warming bool) {
		for name, c := range set {
			out = append(out, Config{name, c.cfg.raw, c.version, c.updated, c.static, warming})
		}
	}
	add(m.active, false)
	add(m.warming, true)
	slices.SortStableFunc(out, func(a, b Config) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// localityWeight is the weight of a host's locality in its priority.
func localityWeight(sets []*cluster.HostSet, h *cluster.Host) uint32 {
	if int(h.Priority) >= len(sets) {
		return 0
	}
	for _, l := range sets[h.Priority].Localities {
		if l.Locality.Compare(h.Locality) == 0 {
			return l.Weight
		}
	}
	return 0
}
