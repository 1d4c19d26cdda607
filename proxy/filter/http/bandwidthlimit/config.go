package bandwidthlimit

import (
	"time"

	bandwidthv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/bandwidth_limit/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/tokenbucket"
	"github.com/weirproxy/weir/xds/protos"
)

// TypeURL is the type of the filter's configuration and of a route's.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.http.bandwidth_limit.v3.BandwidthLimit"

// defaultInterval is Envoy's fill_interval.
const defaultInterval = 50 * time.Millisecond

// Maker makes the filter's factories.
func Maker() http.FilterMaker {
	return http.FilterMaker{
		New: func(p field.Path, config *anypb.Any, ctx *http.FactoryContext) (http.FilterFactory, error) {
			s, err := compile(p, config, ctx)
			return &factory{s}, err
		},
		RouteConfig: func(p field.Path, config *anypb.Any, ctx *http.FactoryContext) (any, error) {
			return compile(p, config, ctx)
		},
	}
}

func compile(p field.Path, config *anypb.Any, ctx *http.FactoryContext) (*settings, error) {
	m := &bandwidthv3.BandwidthLimit{}
	if err := protos.Unpack(p, config, m); err != nil {
		return nil, err
	}
	if err := field.Only(p, m, "stat_prefix", "enable_mode", "limit_kbps", "fill_interval", "runtime_enabled", "enable_response_trailers", "response_trailer_prefix"); err != nil {
		return nil, err
	}
	s := &settings{interval: defaultInterval}
	switch m.GetEnableMode() {
	case bandwidthv3.BandwidthLimit_REQUEST:
		s.request = true
	case bandwidthv3.BandwidthLimit_RESPONSE:
		s.response = true
	case bandwidthv3.BandwidthLimit_REQUEST_AND_RESPONSE:
		s.request, s.response = true, true
	}
	if d := m.GetFillInterval(); d != nil {
		s.interval = d.AsDuration()
	}
	switch kbps := m.GetLimitKbps().GetValue(); {
	case kbps > 1<<21:
		return nil, p.Dot("limit_kbps").Errorf("must be at most %d", 1<<21)
	case kbps > 0:
		// A second's bytes can be saved up, but the first interval has only
		// its own.
		s.bucket = tokenbucket.New(uint32(kbps<<10), uint32(kbps<<10), time.Second)
		s.bucket.TakeSome(kbps<<10 - uint64(float64(kbps<<10)*min(1, s.interval.Seconds())))
	case s.request || s.response:
		return nil, p.Dot("limit_kbps").Errorf("is required")
	}
	if m.GetEnableResponseTrailers() {
		s.trailers = newTrailerNames(m.GetResponseTrailerPrefix())
	}
	var err error
	if s.enabled, err = fraction.NewFlag(p.Dot("runtime_enabled"), m.GetRuntimeEnabled(), ctx.Runtime); err != nil {
		return nil, err
	}
	s.stats = stats.NewGroup[Stats](ctx.Stats, stats.Scope{Prefix: m.GetStatPrefix() + ".http_bandwidth_limit."})
	return s, nil
}
