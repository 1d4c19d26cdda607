package connectionlimit

import (
	limitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/connection_limit/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
)

// TypeURL is the type of the filter's configuration.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit"

// Factory makes the filter's factories.
func Factory() listener.NetworkFactory { return listener.NetworkFrom(compile) }

func compile(p field.Path, m *limitv3.ConnectionLimit, ctx *listener.FactoryContext) (network.FilterFactory, error) {
	if err := field.Only(p, m, "stat_prefix", "max_connections", "delay", "runtime_enabled"); err != nil {
		return nil, err
	}
	if m.GetMaxConnections() == nil {
		return nil, p.Dot("max_connections").Errorf("missing")
	}
	s := &settings{most: m.GetMaxConnections().GetValue(), delay: m.GetDelay().AsDuration()}
	var err error
	if s.enabled, err = fraction.NewFlag(p.Dot("runtime_enabled"), m.GetRuntimeEnabled(), ctx.Runtime); err != nil {
		return nil, err
	}
	s.stats = stats.NewGroup[Stats](ctx.Stats, stats.Scope{Prefix: "connection_limit." + m.GetStatPrefix() + "."})
	ctx.OnClose(s.stats.Close)
	return s.newFilter, nil
}
