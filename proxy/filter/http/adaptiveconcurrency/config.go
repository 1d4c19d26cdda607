package adaptiveconcurrency

import (
	"time"

	adaptivev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/adaptive_concurrency/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/stats"
)

// TypeURL is the type of the filter's configuration.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.http.adaptive_concurrency.v3.AdaptiveConcurrency"

// Maker makes the filter's factories.
func Maker() http.FilterMaker { return http.FilterMaker{New: http.NewFrom(compile)} }

func compile(p field.Path, m *adaptivev3.AdaptiveConcurrency, ctx *http.FactoryContext) (*factory, error) {
	if err := field.Only(p, m, "gradient_controller_config", "enabled", "concurrency_limit_exceeded_status"); err != nil {
		return nil, err
	}
	if m.GetGradientControllerConfig() == nil {
		return nil, p.Dot("gradient_controller_config").Errorf("missing")
	}
	f := &factory{status: 503}
	if c := int(m.GetConcurrencyLimitExceededStatus().GetCode()); c >= 400 { // all else is no refusal to Envoy
		f.status = c
	}
	var err error
	if f.enabled, err = fraction.NewFlag(p.Dot("enabled"), m.GetEnabled(), ctx.Runtime); err != nil {
		return nil, err
	}
	s, err := gradient(p.Dot("gradient_controller_config"), m.GetGradientControllerConfig())
	if err != nil {
		return nil, err
	}
	f.group = stats.NewGroup[Stats](ctx.Stats, stats.Scope{Prefix: ctx.StatPrefix + "adaptive_concurrency.gradient_controller."})
	f.controller = newController(s, ctx.Loops[0], f.group.For(0))
	return f, nil
}

func gradient(p field.Path, m *adaptivev3.GradientControllerConfig) (s settings, err error) {
	if err := field.Only(p, m, "sample_aggregate_percentile", "concurrency_limit_params", "min_rtt_calc_params"); err != nil {
		return s, err
	}
	limits, rtt := m.GetConcurrencyLimitParams(), m.GetMinRttCalcParams()
	lp, rp := p.Dot("concurrency_limit_params"), p.Dot("min_rtt_calc_params")
	if err := field.Only(lp, limits, "max_concurrency_limit", "concurrency_update_interval", "min_concurrency_limit"); err != nil {
		return s, err
	}
	if err := field.Only(rp, rtt, "interval", "request_count", "jitter", "min_concurrency", "buffer", "fixed_value"); err != nil {
		return s, err
	}
	s = settings{
		percentile: percent(m.GetSampleAggregatePercentile(), 50), most: number(limits.GetMaxConcurrencyLimit(), 1000),
		update: limits.GetConcurrencyUpdateInterval().AsDuration(), interval: rtt.GetInterval().AsDuration(), fixed: rtt.GetFixedValue().AsDuration(),
		requests: number(rtt.GetRequestCount(), 50), jitter: percent(rtt.GetJitter(), 15), measuring: number(rtt.GetMinConcurrency(), 3), buffer: percent(rtt.GetBuffer(), 25),
	}
	s.least = number(limits.GetMinConcurrencyLimit(), s.measuring)
	switch {
	case s.update <= 0:
		return s, lp.Dot("concurrency_update_interval").Errorf("must be greater than 0")
	case s.most == 0:
		return s, lp.Dot("max_concurrency_limit").Errorf("must be greater than 0")
	case s.least == 0:
		return s, lp.Dot("min_concurrency_limit").Errorf("must be greater than 0")
	case s.measuring == 0:
		return s, rp.Dot("min_concurrency").Errorf("must be greater than 0")
	case s.requests == 0:
		return s, rp.Dot("request_count").Errorf("must be greater than 0")
	case rtt.GetInterval() != nil && s.interval < time.Millisecond:
		return s, rp.Dot("interval").Errorf("must be at least 1ms")
	case rtt.GetFixedValue() != nil && s.fixed <= 0:
		return s, rp.Dot("fixed_value").Errorf("must be greater than 0")
	case s.interval == 0 && s.fixed == 0:
		return s, rp.Errorf("needs interval or fixed_value")
	}
	return s, nil
}

func number(v *wrapperspb.UInt32Value, otherwise uint32) uint32 {
	if v == nil {
		return otherwise
	}
	return v.GetValue()
}

// percent is a share of 1.
func percent(v *typev3.Percent, otherwise float64) float64 {
	if v != nil {
		otherwise = v.GetValue()
	}
	return otherwise / 100
}
