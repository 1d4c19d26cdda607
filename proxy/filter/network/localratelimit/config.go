package localratelimit

import (
	"time"

	localv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/local_ratelimit/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/tokenbucket"
	"github.com/weirproxy/weir/xds/protos"
)

// TypeURL is the type of the filter's configuration.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.network.local_ratelimit.v3.LocalRateLimit"

// leastInterval is Envoy's shortest fill_interval.
const leastInterval = 50 * time.Millisecond

// New is a listener.NetworkFactory.
func New(p field.Path, config *anypb.Any, ctx *listener.FactoryContext) (network.FilterFactory, error) {
	m := &localv3.LocalRateLimit{}
	if err := protos.Unpack(p, config, m); err != nil {
		return nil, err
	}
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
