package rbac

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
)

// Enforced are at http.<stat_prefix>.rbac.[<rules_stat_prefix>.].
type Enforced struct {
	Allowed stats.Counter `stat:"allowed"`
	Denied  stats.Counter `stat:"denied"`
}

// Shadow are at http.<stat_prefix>.rbac.[<shadow_rules_stat_prefix>.].
type Shadow struct {
	Allowed stats.Counter `stat:"shadow_allowed"`
	Denied  stats.Counter `stat:"shadow_denied"`
}

// EnforcedPolicy and ShadowPolicy are those of one policy, below the same
// prefixes at policy.<name>., once they have counted.
type EnforcedPolicy struct {
	Allowed stats.Counter `stat:"allowed,omitempty"`
	Denied  stats.Counter `stat:"denied,omitempty"`
}

type ShadowPolicy struct {
	Allowed stats.Counter `stat:"shadow_allowed,omitempty"`
	Denied  stats.Counter `stat:"shadow_denied,omitempty"`
}

// policies are the statistics of policies, those of routes too, made when
// they first decide.
type policies[T any] struct {
	store  *stats.Store
	prefix string
	loops  []*network.Loop
	groups []map[string]*stats.Group[T] // by worker
}

func newPolicies[T any](ctx *http.FactoryContext, prefix string) *policies[T] {
	return &policies[T]{ctx.Stats, prefix + "policy.", ctx.Loops, make([]map[string]*stats.Group[T], len(ctx.Loops))}
}

// of is called by worker w only.
func (p *policies[T]) of(w int, name string) *T {
	g := p.groups[w][name]
	if g == nil {
		g = stats.NewGroup[T](p.store, stats.Scope{Prefix: p.prefix + name + "."})
		if p.groups[w] == nil {
			p.groups[w] = map[string]*stats.Group[T]{}
		}
		p.groups[w][name] = g
	}
	return g.For(w)
}

func (p *policies[T]) close() {
	for w, l := range p.loops {
		l.Post(func() {
			for _, g := range p.groups[w] {
				g.Close()
			}
		})
	}
}
