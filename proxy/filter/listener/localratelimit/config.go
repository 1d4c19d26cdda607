package localratelimit

import (
	"time"

	localv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/local_ratelimit/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/tokenbucket"
)

// TypeURL is the type of the filter's configuration.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.listener.local_ratelimit.v3.LocalRateLimit"

// leastInterval is Envoy's shortest fill_interval.
const leastInterval = 50 * time.Millisecond

// Factory makes the filter's factories.
func Factory() listener.FilterFactory { return listener.FilterFrom(compile) }

func compile(p field.Path, m *localv3.LocalRateLimit, ctx *listener.FactoryContext) (listener.Filter, error) {
	if err := field.Only(p, m, "stat_prefix", "token_bucket", "runtime_enabled"); err != nil {
		return nil, err
	}
	f := &filter{}
	var err error
	if f.enabled, err = fraction.NewFlag(p.Dot("runtime_enabled"), m.GetRuntimeEnabled(), ctx.Runtime); err != nil {
		return nil, err
	}
	if f.bucket, err = tokenbucket.Compile(p.Dot("token_bucket"), m.GetTokenBucket(), leastInterval); err != nil {
		return nil, err
	}
	f.stats = stats.NewGroup[Stats](ctx.Stats, stats.Scope{Prefix: "listener_local_ratelimit." + m.GetStatPrefix() + "."})
	ctx.OnClose(f.stats.Close)
	return f, nil
}
