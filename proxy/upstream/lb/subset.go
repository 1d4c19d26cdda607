package lb

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// Subset divides a cluster's hosts by their envoy.lb metadata; each subset is
// balanced by a policy of its own kind. Requests name the subset that they
// want by their route's metadata_match.
type Subset struct {
	Inner     Policy
	Fallback  Fallback
	Default   []MetadataCriterion
	Selectors []Selector
	// LocalityWeights keeps the localities' weights within subsets, scaled by
	// how many of a locality's hosts are in the subset if ScaleWeights.
	LocalityWeights, ScaleWeights bool
	// PanicAny takes any host when the fallback has none.
	PanicAny bool
	// ListAsAny lets a host with a list as a value be in the subset of each.
	ListAsAny bool
	// FallbackList takes the alternatives that a request's fallback_list has.
	FallbackList bool
	// AllowRedundant leaves out what a request asks for beyond a selector's
	// keys.
	AllowRedundant bool
}

// Fallback is what happens without a matching subset.
type Fallback uint8

const (
	FallbackNotDefined Fallback = iota // as the cluster says
	FallbackNone                       // no host
	FallbackAny                        // all hosts
	FallbackDefault                    // the default subset
	FallbackKeys                       // fewer keys
)

// Selector makes subsets of all values of its keys.
type Selector struct {
	Keys         []string // sorted
	Fallback     Fallback
	FallbackKeys []string // of FallbackKeys
	SingleHost   bool     // a subset has one host
}

// fallbackListKey is where a request's alternatives are.
const fallbackListKey = "fallback_list"

// Name implements Policy.
func (*Subset) Name() string { return "subset" }

// NeedsActive implements ActiveSharer.
func (s *Subset) NeedsActive() bool {
	a, ok := s.Inner.(ActiveSharer)
	return ok && a.NeedsActive()
}

// New implements Policy.
func (s *Subset) New(env Env) ThreadAware {
	t := &subsets{cfg: s, env: env, inner: s.Inner.New(env), known: map[string]bool{}}
	if env.Info.Store != nil {
		t.group = stats.NewGroup[duplicateStats](env.Info.Store, stats.Scope{Prefix: env.Info.StatScope().Prefix + "lb_subsets_"})
	}
	return t
}

type duplicateStats struct {
	SingleHost stats.Gauge `stat:"single_host_per_subset_duplicate"`
}

// subsets is main's part.
type subsets struct {
	cfg   *Subset
	env   Env
	inner ThreadAware
	known map[string]bool // subsets that there are, by their metadata
	group *stats.Group[duplicateStats]
}

// subsetNode is a step of the search: a key, then a value.
type subsetNode struct {
	children map[string]map[any]*subsetNode
	subset   Factory // nil: no subset ends here, or it is empty
	index    int     // of the subset
}

// Close implements ThreadAware.
func (t *subsets) Close() {
	t.inner.Close()
	if t.group != nil {
		t.group.Close()
	}
}

// member is a subset in the making.
type member struct {
	node   *subsetNode
	single bool
	hosts  map[*cluster.Host]bool
}

// Factory implements ThreadAware.
func (t *subsets) Factory(hosts *cluster.PrioritySet) Factory {
	f := &subsetFactory{cfg: t.cfg}
	made := map[string]*member{}
	duplicates := 0
	for h := range hosts.All {
		for i := range t.cfg.Selectors {
			sel := &t.cfg.Selectors[i]
			for _, c := range t.combinations(sel.Keys, h.Metadata()["envoy.lb"]) {
				m := f.member(made, c, sel.SingleHost)
				if m.single && len(m.hosts) > 0 {
					duplicates++
					continue
				}
				m.hosts[h] = true
			}
		}
	}
	for _, m := range made {
		m.node.subset, m.node.index = t.of(hosts, m.hosts), f.n
		f.n++
	}
	f.any, f.def = f.add(t.matching(hosts, nil)), f.add(t.matching(hosts, t.cfg.Default))
	t.count(made, duplicates)
	return f
}

// count keeps the statistics, which Envoy's threads keep each on its own.
func (t *subsets) count(made map[string]*member, duplicates int) {
	if t.env.Info.StatGroup == nil {
		return
	}
	s := &t.env.Info.Stats(0).LB
	for k := range made {
		if !t.known[k] {
			t.known[k] = true
			s.SubsetsCreated.Add(uint64(t.env.Owners))
		}
	}
	for k := range t.known {
		if made[k] == nil {
			delete(t.known, k)
			s.SubsetsRemoved.Add(uint64(t.env.Owners))
		}
	}
	s.SubsetsActive.Set(int64(len(made) * t.env.Owners))
	t.group.For(0).SingleHost.Set(int64(duplicates * t.env.Owners))
}

// combinations are the subsets of a selector's keys that a host is in.
func (t *subsets) combinations(keys []string, have map[string]any) (out [][]MetadataCriterion) {
	out = [][]MetadataCriterion{nil}
	for _, k := range keys {
		v, ok := have[k]
		if !ok {
			return nil
		}
		values := []any{v}
		if list, ok := v.([]any); ok && t.cfg.ListAsAny {
			values = list
		}
		var next [][]MetadataCriterion
		for _, c := range out {
			for _, v := range values {
				next = append(next, append(slices.Clip(c), MetadataCriterion{k, v}))
			}
		}
		out = next
	}
	return out
}

// matches tells whether a host has all of these values.
func (t *subsets) matches(h *cluster.Host, want []MetadataCriterion) bool {
	have := h.Metadata()["envoy.lb"]
	for _, c := range want {
		v, ok := have[c.Key]
		if list, isList := v.([]any); ok && isList && t.cfg.ListAsAny {
			ok = slices.ContainsFunc(list, func(v any) bool { return SameValue(v, c.Value) })
		} else {
			ok = ok && SameValue(v, c.Value)
		}
		if !ok {
			return false
		}
	}
	return true
}

// matching is the policy for the hosts with all of these values.
func (t *subsets) matching(hosts *cluster.PrioritySet, want []MetadataCriterion) Factory {
	in := map[*cluster.Host]bool{}
	for h := range hosts.All {
		if t.matches(h, want) {
			in[h] = true
		}
	}
	return t.of(hosts, in)
}

// of is the policy for some of the hosts, nil when there are none.
func (t *subsets) of(all *cluster.PrioritySet, in map[*cluster.Host]bool) Factory {
	if len(in) == 0 {
		return nil
	}
	sets := make([]*cluster.HostSet, len(all.Sets))
	keep := func(hosts []*cluster.Host) (out []*cluster.Host) {
		for _, h := range hosts {
			if in[h] {
				out = append(out, h)
			}
		}
		return out
	}
	for i, s := range all.Sets {
		var localities []cluster.LocalityHosts
		for _, l := range s.Localities {
			part := cluster.LocalityHosts{Locality: l.Locality, Hosts: keep(l.Hosts)}
			if t.cfg.LocalityWeights {
				part.Weight = l.Weight
				if t.cfg.ScaleWeights {
					part.Weight = scaled(l.Weight, len(part.Hosts), len(l.Hosts))
				}
			}
			localities = append(localities, part)
		}
		sets[i] = cluster.NewHostSet(keep(s.Hosts), localities, s.Overprovisioning)
		sets[i].HasLocal, sets[i].WeightedHealth = s.HasLocal, s.WeightedHealth
	}
	return t.inner.Factory(cluster.NewPrioritySet(sets, all.PanicThreshold))
}

func scaled(weight uint32, part, of int) uint32 {
	if of == 0 {
		return 0
	}
	return uint32((uint64(weight)*uint64(part) + uint64(of)/2) / uint64(of))
}

// subsetFactory is what the workers share.
type subsetFactory struct {
	cfg      *Subset
	root     subsetNode
	n        int // subsets
	any, def extra
}

// extra is a subset that is not found by metadata.
type extra struct {
	subset Factory
	index  int
}

func (f *subsetFactory) add(s Factory) extra {
	f.n++
	return extra{s, f.n - 1}
}

func (f *subsetFactory) member(made map[string]*member, c []MetadataCriterion, single bool) *member {
	n := &f.root
	var name strings.Builder
	for _, m := range c {
		v := hashable(m.Value)
		if n.children == nil {
			n.children = map[string]map[any]*subsetNode{}
		}
		if n.children[m.Key] == nil {
			n.children[m.Key] = map[any]*subsetNode{}
		}
		if n.children[m.Key][v] == nil {
			n.children[m.Key][v] = &subsetNode{}
		}
		n = n.children[m.Key][v]
		text, _ := json.Marshal([]any{m.Key, m.Value})
		name.Write(text)
	}
	if made[name.String()] == nil {
		made[name.String()] = &member{node: n, single: single, hosts: map[*cluster.Host]bool{}}
	}
	return made[name.String()]
}

// composite stands for a list or a struct where values are compared.
type composite string

func hashable(v any) any {
	switch v.(type) {
	case nil, string, float64, bool:
		return v
	}
	text, _ := json.Marshal(v)
	return composite(text)
}

// New implements Factory.
func (f *subsetFactory) New(s *cluster.Stats) Balancer {
	return &subsetBalancer{subsetFactory: f, stats: s, made: make([]Balancer, f.n)}
}
