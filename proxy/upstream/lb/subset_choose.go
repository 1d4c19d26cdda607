package lb

import (
	"slices"

	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// subsetBalancer is a worker's: it makes the balancer of a subset when it is
// first asked for.
type subsetBalancer struct {
	*subsetFactory
	stats *cluster.Stats
	made  []Balancer
	keys  []MetadataCriterion // scratch
}

func (b *subsetBalancer) choose(f Factory, i int, ctx Context) *cluster.Host {
	if f == nil {
		return nil
	}
	if b.made[i] == nil {
		b.made[i] = f.New(b.stats)
	}
	return b.made[i].Choose(ctx)
}

// Choose implements Balancer.
func (b *subsetBalancer) Choose(ctx Context) *cluster.Host {
	want := ctx.MetadataMatch()
	if b.cfg.FallbackList {
		if i := slices.IndexFunc(want, func(c MetadataCriterion) bool { return c.Key == fallbackListKey }); i >= 0 {
			return b.alternatives(want, i, ctx)
		}
	}
	return b.try(want, ctx)
}

// alternatives tries one set of values after the other; list is where they
// are in want.
func (b *subsetBalancer) alternatives(want []MetadataCriterion, list int, ctx Context) *cluster.Host {
	base := slices.Delete(slices.Clone(want), list, list+1)
	all, ok := want[list].Value.([]any)
	if !ok || len(all) == 0 {
		return b.try(base, ctx)
	}
	for _, a := range all {
		m, _ := a.(map[string]any)
		if h := b.try(MergeCriteria(base, m), ctx); h != nil {
			return h
		}
	}
	return nil
}

func (b *subsetBalancer) try(want []MetadataCriterion, ctx Context) *cluster.Host {
	if len(want) > 0 {
		if n := b.find(want); n != nil {
			b.stats.LB.SubsetsSelected.Inc()
			return b.choose(n.subset, n.index, ctx)
		}
		if s := b.selector(want); s != nil && s.Fallback != FallbackNotDefined {
			switch s.Fallback {
			case FallbackAny:
				return b.choose(b.any.subset, b.any.index, ctx)
			case FallbackDefault:
				return b.choose(b.def.subset, b.def.index, ctx)
			case FallbackKeys:
				return b.try(b.only(want, s.FallbackKeys), ctx)
			}
			return nil
		}
	}
	if b.cfg.Fallback == FallbackNone {
		return nil
	}
	e := b.any
	if b.cfg.Fallback == FallbackDefault {
		e = b.def
	}
	if h := b.choose(e.subset, e.index, ctx); h != nil {
		b.stats.LB.SubsetsFallback.Inc()
		return h
	}
	if b.cfg.PanicAny {
		if h := b.choose(b.any.subset, b.any.index, ctx); h != nil {
			b.stats.LB.SubsetsFallbackPanic.Inc()
			return h
		}
	}
	return nil
}

// find is the subset of these values, nil when there is none with hosts.
func (b *subsetBalancer) find(want []MetadataCriterion) *subsetNode {
	if n := b.root.find(want); n != nil || !b.cfg.AllowRedundant {
		return n
	}
	for i := range b.cfg.Selectors { // those with the most keys first
		keys := b.cfg.Selectors[i].Keys
		if len(keys) >= len(want) || !hasKeys(want, keys) {
			continue
		}
		if n := b.root.find(b.only(want, keys)); n != nil {
			return n
		}
	}
	return nil
}

func (n *subsetNode) find(want []MetadataCriterion) *subsetNode {
	for _, c := range want {
		v := c.Value
		switch v.(type) {
		case nil, string, float64, bool:
		default:
			v = hashable(v)
		}
		if n = n.children[c.Key][v]; n == nil {
			return nil
		}
	}
	if n.subset == nil {
		return nil
	}
	return n
}

// selector is the one with exactly the wanted keys; with AllowRedundant the
// first, by most keys, whose keys are all wanted.
func (b *subsetBalancer) selector(want []MetadataCriterion) *Selector {
	for i := range b.cfg.Selectors {
		s := &b.cfg.Selectors[i]
		if (len(s.Keys) == len(want) || b.cfg.AllowRedundant && len(s.Keys) < len(want)) && hasKeys(want, s.Keys) {
			return s
		}
	}
	return nil
}

func hasKeys(want []MetadataCriterion, keys []string) bool {
	i := 0
	for _, c := range want {
		if i < len(keys) && keys[i] == c.Key {
			i++
		}
	}
	return i == len(keys)
}

// only is what of want is about these keys. It may be want's own space.
func (b *subsetBalancer) only(want []MetadataCriterion, keys []string) []MetadataCriterion {
	out := b.keys[:0]
	for _, c := range want {
		if slices.Contains(keys, c.Key) {
			out = append(out, c)
		}
	}
	b.keys = out
	return out
}
