package localratelimit

import (
	"time"

	localv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/local_ratelimit/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/tokenbucket"
	"github.com/weirproxy/weir/xds/protos"
)

// TypeURL is the type of the filter's configuration.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.listener.local_ratelimit.v3.LocalRateLimit"

// leastInterval is Envoy's shortest fill_interval.
const leastInterval = 50 * time.Millisecond

// New is a listener.FilterFactory.
func New(p field.Path, config *anypb.Any, ctx *listener.FactoryContext) (listener.Filter, error) {
	m := &localv3.LocalRateLimit{}
	if err := protos.Unpack(p, config, m); err != nil {
		return nil, err
	}
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
