package ratelimit

import (
	"net/netip"

	commonv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	ratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/ratelimit/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/grpc/ratelimit"
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream/async"
)

// TypeURL is the type of the filter's configuration.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.network.ratelimit.v3.RateLimit"

// Factory makes the filter's factory. client calls services on a worker's
// loop; local is the machine's address.
func Factory(client func(*network.Loop) async.Client, local netip.Addr) listener.NetworkFactory {
	return listener.NetworkFrom(func(p field.Path, m *ratelimitv3.RateLimit, ctx *listener.FactoryContext) (network.FilterFactory, error) {
		s, err := compile(p, m, local, ctx)
		if err != nil {
			return nil, err
		}
		s.client = client
		return s.newFilter, nil
	})
}

func compile(p field.Path, m *ratelimitv3.RateLimit, local netip.Addr, ctx *listener.FactoryContext) (*settings, error) {
	if err := field.Only(p, m, "stat_prefix", "domain", "descriptors", "timeout", "failure_mode_deny", "rate_limit_service"); err != nil {
		return nil, err
	}
	s := &settings{domain: m.GetDomain(), denyOnFailure: m.GetFailureModeDeny(), runtime: ctx.Runtime}
	var err error
	if s.service, err = ratelimit.Compile(p.Dot("rate_limit_service"), m.GetRateLimitService(), m.GetTimeout(), local); err != nil {
		return nil, err
	}
	for i, d := range m.GetDescriptors() {
		x, err := compileDescriptor(p.Dot("descriptors").Index(i), d)
		if err != nil {
			return nil, err
		}
		s.descriptors = append(s.descriptors, x)
	}
	s.stats = stats.NewGroup[Stats](ctx.Stats, stats.Scope{Prefix: "ratelimit." + m.GetStatPrefix() + "."})
	ctx.OnClose(s.stats.Close)
	return s, nil
}

func compileDescriptor(p field.Path, m *commonv3.RateLimitDescriptor) (descriptor, error) {
	var d descriptor
	if err := field.Only(p, m, "entries", "limit", "hits_addend"); err != nil {
		return d, err
	}
	for i, e := range m.GetEntries() {
		value, err := formatter.Compile(p.Dot("entries").Index(i).Dot("value"), e.GetValue())
		if err != nil {
			return d, err
		}
		d.entries = append(d.entries, entry{e.GetKey(), value})
	}
	if l := m.GetLimit(); l != nil {
		d.override, d.requests, d.unit = true, l.GetRequestsPerUnit(), int32(l.GetUnit())
	}
	if h := m.GetHitsAddend(); h != nil {
		d.counts, d.hits = true, h.GetValue()
	}
	return d, nil
}
