package admissioncontrol

import (
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	admissionv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/admission_control/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/stats"
)

// TypeURL is the type of the filter's configuration.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.http.admission_control.v3.AdmissionControl"

// Maker makes the filter's factories.
func Maker() http.FilterMaker { return http.FilterMaker{Upstream: true, New: http.NewFrom(compile)} }

// What counts where the configuration does not say.
const (
	defaultWindow         = 30 * time.Second
	defaultAggression     = 1
	defaultThreshold      = 95 // percent
	defaultMaxProbability = 80 // percent
)

func compile(p field.Path, m *admissionv3.AdmissionControl, ctx *http.FactoryContext) (f *factory, err error) {
	if c := m.GetSrThreshold(); c != nil && c.GetDefaultValue().GetValue() < 1 {
		return nil, p.Dot("sr_threshold").Errorf("Success rate threshold cannot be less than 1.0%%.")
	}
	f = &factory{
		rpsThreshold:   func() uint64 { return 0 },
		aggression:     number(ctx, m.GetAggression().GetRuntimeKey(), defaultAggression),
		threshold:      percent(ctx, m.GetSrThreshold(), defaultThreshold),
		maxProbability: percent(ctx, m.GetMaxRejectionProbability(), defaultMaxProbability),
		windows:        make([]window, len(ctx.Loops)),
	}
	if c := m.GetAggression(); c != nil {
		f.aggression = number(ctx, c.GetRuntimeKey(), c.GetDefaultValue())
	}
	if c := m.GetRpsThreshold(); c != nil {
		f.rpsThreshold = func() uint64 { return ctx.Runtime.Get(c.GetRuntimeKey(), uint64(c.GetDefaultValue())) }
	}
	length := defaultWindow
	if d := m.GetSamplingWindow(); d != nil {
		length = d.AsDuration().Truncate(time.Second)
	}
	for i := range f.windows {
		f.windows[i].length = length
	}
	if f.enabled, err = fraction.NewFlag(p.Dot("enabled"), m.GetEnabled(), ctx.Runtime); err != nil {
		return nil, err
	}
	if f.criteria, err = compileCriteria(p.Dot("success_criteria"), m.GetSuccessCriteria()); err != nil {
		return nil, err
	}
	f.group = stats.NewGroup[Stats](ctx.Stats, stats.Scope{Prefix: ctx.StatPrefix + "admission_control."})
	return f, nil
}

// number is a number that the runtime may change.
func number(ctx *http.FactoryContext, key string, otherwise float64) func() float64 {
	return func() float64 {
		if key == "" || ctx.RuntimeNumber == nil {
			return otherwise
		}
		return ctx.RuntimeNumber(key, otherwise)
	}
}

func percent(ctx *http.FactoryContext, c *corev3.RuntimePercent, otherwise float64) func() float64 {
	if c == nil {
		return number(ctx, "", otherwise)
	}
	return number(ctx, c.GetRuntimeKey(), c.GetDefaultValue().GetValue())
}

// grpcSuccesses are the gRPC statuses that are successes where the
// configuration names none: those that the client is to blame for.
var grpcSuccesses = []uint32{0, 1, 2, 3, 5, 6, 7, 9, 11, 12, 16}

func compileCriteria(p field.Path, m *admissionv3.AdmissionControl_SuccessCriteria) (criteria, error) {
	c := criteria{http: []statusRange{{0, 500}}, grpc: grpcSuccesses}
	if h := m.GetHttpCriteria(); h != nil {
		c.http = nil
		for i, r := range h.GetHttpSuccessStatus() {
			x := statusRange{int(r.GetStart()), int(r.GetEnd())}
			if x.start < 100 || x.end > 600 || x.start > x.end {
				return c, p.Dot("http_criteria").Dot("http_success_status").Index(i).Errorf("invalid HTTP range: [%d, %d)", x.start, x.end)
			}
			c.http = append(c.http, x)
		}
	}
	if g := m.GetGrpcCriteria(); g != nil {
		c.grpc = g.GetGrpcSuccessStatus()
		for i, code := range c.grpc {
			if code > 16 {
				return c, p.Dot("grpc_criteria").Dot("grpc_success_status").Index(i).Errorf("invalid gRPC code: %d", code)
			}
		}
	}
	return c, nil
}
