package localratelimit

import (
	"time"

	localv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/local_ratelimit/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/tokenbucket"
)

// TypeURL is the type of the filter's configuration.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.network.local_ratelimit.v3.LocalRateLimit"

// leastInterval is Envoy's shortest fill_interval.
const leastInterval = 50 * time.Millisecond

// Factory makes the filter's factories.
func Factory() listener.NetworkFactory { return listener.NetworkFrom(compile) }

func compile(p field.Path, m *localv3.LocalRateLimit, ctx *listener.FactoryContext) (network.FilterFactory, error) {
	if err := field.Only(p, m, "stat_prefix", "token_bucket", "runtime_enabled"); err != nil {
		return nil, err
	}
	s := &settings{}
	var err error
	if s.enabled, err = fraction.NewFlag(p.Dot("runtime_enabled"), m.GetRuntimeEnabled(), ctx.Runtime); err != nil {
		return nil, err
	}
	if s.bucket, err = tokenbucket.Compile(p.Dot("token_bucket"), m.GetTokenBucket(), leastInterval); err != nil {
		return nil, err
	}
	s.stats = stats.NewGroup[Stats](ctx.Stats, stats.Scope{Prefix: "local_rate_limit." + m.GetStatPrefix() + "."})
	ctx.OnClose(s.stats.Close)
	return s.newFilter, nil
}
