package fault

import (
	"strings"

	"github.com/weirproxy/weir/proxy/stats"
)

// Stats are at http.<stat_prefix>.fault.
type Stats struct {
	DelaysInjected     stats.Counter `stat:"delays_injected"`
	AbortsInjected     stats.Counter `stat:"aborts_injected"`
	ResponseRlInjected stats.Counter `stat:"response_rl_injected"`
	FaultsOverflow     stats.Counter `stat:"faults_overflow"`
	ActiveFaults       stats.Gauge   `stat:"active_faults"`
}

// ClusterStats are at http.<stat_prefix>.fault.<client's cluster>.
type ClusterStats struct {
	DelaysInjected stats.Counter `stat:"delays_injected,omitempty"`
	AbortsInjected stats.Counter `stat:"aborts_injected,omitempty"`
}

// maxClusters bounds the clusters that are counted: clients name them.
const maxClusters = 1024

// clusterTable is one worker's statistics by client cluster.
type clusterTable struct {
	groups map[string]*stats.Group[ClusterStats]
}

// clusterStats are those of the client's cluster, nil when it says none.
func (f *filter) clusterStats() *ClusterStats {
	name := f.request.downstream
	if name == "" || f.settings.noClusterStats {
		return nil
	}
	w := f.cb.Worker()
	t := &f.f.clusters[w]
	g := t.groups[name]
	if g == nil {
		if len(t.groups) >= maxClusters {
			return nil
		}
		if t.groups == nil {
			t.groups = map[string]*stats.Group[ClusterStats]{}
		}
		g = stats.NewGroup[ClusterStats](f.f.store, stats.Scope{Prefix: f.f.prefix + name + "."})
		t.groups[strings.Clone(name)] = g
	}
	return g.For(w)
}

// Close ends the statistics.
func (f *factory) Close() {
	f.group.Close()
	for w, l := range f.loops {
		l.Post(func() {
			for _, g := range f.clusters[w].groups {
				g.Close()
			}
		})
	}
}
