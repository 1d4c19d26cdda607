package decompressor

import (
	decompressorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/decompressor/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/compression"
	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/stats"
)

// TypeURL is the configuration's type.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.http.decompressor.v3.Decompressor"

// Maker makes filter factories.
func Maker() http.FilterMaker { return http.FilterMaker{New: http.NewFrom(newFactory)} }

func newFactory(p field.Path, m *decompressorv3.Decompressor, ctx *http.FactoryContext) (http.FilterFactory, error) {
	var err error
	f := &factory{advertise: true}
	if f.library, err = compression.CompileDecoder(p.Dot("decompressor_library"), m.DecompressorLibrary); err != nil {
		return nil, err
	}
	if a := m.GetRequestDirectionConfig().GetAdvertiseAcceptEncoding(); a != nil {
		f.advertise = a.Value
	}
	if f.request, err = common(p.Dot("request_direction_config"), m.GetRequestDirectionConfig().GetCommonConfig(), ctx.Runtime); err != nil {
		return nil, err
	}
	if f.response, err = common(p.Dot("response_direction_config"), m.GetResponseDirectionConfig().GetCommonConfig(), ctx.Runtime); err != nil {
		return nil, err
	}
	prefix := ctx.StatPrefix + "decompressor." + f.library.Name + "." + f.library.StatPrefix
	f.requestStats = stats.NewGroup[Stats](ctx.Stats, stats.Scope{Prefix: prefix + "request."})
	f.responseStats = stats.NewGroup[Stats](ctx.Stats, stats.Scope{Prefix: prefix + "response."})
	f.failures = newFailures(ctx.Stats, prefix, f.library)
	return f, nil
}

func common(p field.Path, c *decompressorv3.Decompressor_CommonDirectionConfig, rt fraction.Runtime) (d direction, err error) {
	d.ignoreNoTransform = c.GetIgnoreNoTransformHeader()
	d.enabled, err = fraction.NewFlag(p.Dot("common_config").Dot("enabled"), c.GetEnabled(), rt)
	return d, err
}
