package ratelimit

import (
	"net/netip"
	"time"

	commonv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	ratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/ratelimit/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/grpc"
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream/async"
	"github.com/weirproxy/weir/xds/protos"
)

// TypeURL is the type of the filter's configuration.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.network.ratelimit.v3.RateLimit"

// defaultTimeout bounds a question.
const defaultTimeout = 20 * time.Millisecond

// Factory makes the filter's factory. client calls services on a worker's
// loop; local is the machine's address.
func Factory(client func(*network.Loop) async.Client, local netip.Addr) listener.NetworkFactory {
	return func(p field.Path, config *anypb.Any, ctx *listener.FactoryContext) (network.FilterFactory, error) {
		m := &ratelimitv3.RateLimit{}
		if err := protos.Unpack(p, config, m); err != nil {
			return nil, err
		}
		s, err := compile(p, m, local, ctx)
		if err != nil {
			return nil, err
		}
		s.client = client
		return s.newFilter, nil
	}
}

func compile(p field.Path, m *ratelimitv3.RateLimit, local netip.Addr, ctx *listener.FactoryContext) (*settings, error) {
	if err := field.Only(p, m, "stat_prefix", "domain", "descriptors", "timeout", "failure_mode_deny", "rate_limit_service"); err != nil {
		return nil, err
	}
	sp := p.Dot("rate_limit_service")
	if err := field.Only(sp, m.GetRateLimitService(), "grpc_service", "transport_api_version"); err != nil {
		return nil, err
	}
	if err := protos.CheckVersion(sp.Dot("transport_api_version"), m.GetRateLimitService().GetTransportApiVersion()); err != nil {
		return nil, err
	}
	s := &settings{domain: m.GetDomain(), denyOnFailure: m.GetFailureModeDeny(), runtime: ctx.Runtime}
	var err error
	if s.service, err = grpc.Compile(sp.Dot("grpc_service"), m.GetRateLimitService().GetGrpcService(), defaultTimeout, local); err != nil {
		return nil, err
	}
	// The filter's timeout is the call's, whatever grpc_service says.
	s.service.Timeout = defaultTimeout
	if m.GetTimeout() != nil {
		s.service.Timeout = m.GetTimeout().AsDuration()
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
