package upstream

import (
	"context"

	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream/dns"
)

// resolverStats are Envoy's of its resolver, "dns.cares.".
type resolverStats struct {
	GetAddrFailure     stats.Counter `stat:"get_addr_failure"`
	NotFound           stats.Counter `stat:"not_found"`
	Reinits            stats.Counter `stat:"reinits"` // weir's has nothing to start anew
	ResolveTotal       stats.Counter `stat:"resolve_total"`
	Timeouts           stats.Counter `stat:"timeouts"`
	PendingResolutions stats.Gauge   `stat:"pending_resolutions"`
}

// countedResolver counts what is looked up. Main only.
type countedResolver struct {
	dns.Resolver
	main  *network.Loop
	group *stats.Group[resolverStats]
}

func newCountedResolver(r dns.Resolver, o *Options) *countedResolver {
	return &countedResolver{r, o.Main, stats.NewGroup[resolverStats](o.Stats, stats.Scope{Prefix: "dns.cares.", Lazy: true})}
}

// Lookup implements dns.Resolver.
func (r *countedResolver) Lookup(ctx context.Context, cfg *dns.Config, name string, f dns.Family, done func(dns.Answer)) {
	s := r.group.For(0)
	s.PendingResolutions.Inc()
	pending := true
	end := func() {
		if pending {
			pending = false
			s.PendingResolutions.Dec()
		}
	}
	stop := context.AfterFunc(ctx, func() { r.main.Post(end) })
	r.Resolver.Lookup(ctx, cfg, name, f, func(a dns.Answer) {
		stop()
		r.main.Post(func() {
			end()
			s.ResolveTotal.Add(uint64(a.Questions.Asked))
			s.GetAddrFailure.Add(uint64(a.Questions.Failed))
			s.NotFound.Add(uint64(a.Questions.NotFound))
			s.Timeouts.Add(uint64(a.Questions.Timeouts))
		})
		done(a)
	})
}
