// Fields that Envoy calls deprecated but obeys are obeyed here too.
//
//lint:file-ignore SA1019 see above

package compressor

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	compressorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/compressor/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/compression"
	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/stats"
)

// TypeURL and RouteTypeURL are the configurations' types.
const (
	TypeURL      = "type.googleapis.com/envoy.extensions.filters.http.compressor.v3.Compressor"
	RouteTypeURL = "type.googleapis.com/envoy.extensions.filters.http.compressor.v3.CompressorPerRoute"
)

// Maker makes filter factories.
func Maker() http.FilterMaker {
	return http.FilterMaker{Upstream: true, New: http.NewFrom(newFactory), RouteConfig: http.RouteFrom(routeConfig), RouteTypeURL: RouteTypeURL}
}

func newFactory(p field.Path, m *compressorv3.Compressor, ctx *http.FactoryContext) (http.FilterFactory, error) {
	f := &factory{chooseFirst: m.ChooseFirst}
	var err error
	if f.library, err = compression.Compile(p.Dot("compressor_library"), m.CompressorLibrary); err != nil {
		return nil, err
	}
	if err := f.compileResponse(p, m, ctx.Runtime); err != nil {
		return nil, err
	}
	if r := m.RequestDirectionConfig; r != nil {
		if f.request, err = common(p.Dot("request_direction_config").Dot("common_config"), r.CommonConfig, ctx.Runtime); err != nil {
			return nil, err
		}
		f.request.configured = true
	}
	f.makeStats(ctx, m.ResponseDirectionConfig != nil)
	return f, nil
}

// compileResponse takes response_direction_config, or the older fields that
// stand for it.
func (f *factory) compileResponse(p field.Path, m *compressorv3.Compressor, rt fraction.Runtime) (err error) {
	r := m.ResponseDirectionConfig
	if r == nil {
		r = &compressorv3.Compressor_ResponseDirectionConfig{
			CommonConfig:        &compressorv3.Compressor_CommonDirectionConfig{Enabled: m.RuntimeEnabled, MinContentLength: m.ContentLength, ContentType: m.ContentType},
			DisableOnEtagHeader: m.DisableOnEtagHeader, RemoveAcceptEncodingHeader: m.RemoveAcceptEncodingHeader,
		}
	}
	rp := p.Dot("response_direction_config")
	if err := field.Only(rp, r, "common_config", "disable_on_etag_header", "weaken_etag_on_compress", "remove_accept_encoding_header", "uncompressible_response_codes", "status_header_enabled"); err != nil {
		return err
	}
	if r.DisableOnEtagHeader && r.WeakenEtagOnCompress {
		return rp.Errorf("disable_on_etag_header and weaken_etag_on_compress must not both be set")
	}
	f.noEtag, f.weakenEtag, f.removeAccept, f.reports = r.DisableOnEtagHeader, r.WeakenEtagOnCompress, r.RemoveAcceptEncodingHeader, r.StatusHeaderEnabled
	for _, c := range r.UncompressibleResponseCodes {
		f.uncompressible = append(f.uncompressible, int(c))
	}
	f.response, err = common(rp.Dot("common_config"), r.CommonConfig, rt)
	f.response.configured = true
	return err
}

func common(p field.Path, c *compressorv3.Compressor_CommonDirectionConfig, rt fraction.Runtime) (d direction, err error) {
	if err := field.Only(p, c, "enabled", "min_content_length", "content_type", "content_type_matcher"); err != nil {
		return d, err
	}
	d.minLength, d.types = 30, defaultTypes
	if n := c.GetMinContentLength(); n != nil {
		d.minLength = uint64(n.Value)
	}
	if len(c.GetContentType()) > 0 {
		d.types = c.GetContentType()
	}
	for i, m := range c.GetContentTypeMatcher() {
		x, err := matcher.NewString(p.Dot("content_type_matcher").Index(i), m, nil)
		if err != nil {
			return d, err
		}
		d.matchers = append(d.matchers, x)
	}
	if len(d.matchers) > 0 {
		d.types = nil
	}
	d.enabled, err = fraction.NewFlag(p.Dot("enabled"), c.GetEnabled(), rt)
	return d, err
}

func (f *factory) makeStats(ctx *http.FactoryContext, ownPrefix bool) {
	prefix := ctx.StatPrefix + "compressor." + f.library.Name + "." + f.library.StatPrefix
	response := prefix
	if ownPrefix {
		response += "response."
	}
	f.stats = stats.NewGroup[Stats](ctx.Stats, stats.Scope{Prefix: prefix})
	f.requestStats = stats.NewGroup[DirectionStats](ctx.Stats, stats.Scope{Prefix: prefix + "request."})
	f.responseStats = stats.NewGroup[DirectionStats](ctx.Stats, stats.Scope{Prefix: response})
	f.pools = make([]compression.Pool, len(ctx.Loops))
}

// routeConfig compiles a CompressorPerRoute.
func routeConfig(p field.Path, m *compressorv3.CompressorPerRoute, ctx *http.FactoryContext) (any, error) {
	var err error
	r := &routeSettings{disabled: m.GetDisabled(), enabled: m.GetOverrides().GetResponseDirectionConfig() != nil}
	if v := m.GetOverrides().GetResponseDirectionConfig().GetRemoveAcceptEncodingHeader(); v != nil {
		r.removeAccept = &v.Value
	}
	if l := m.GetOverrides().GetCompressorLibrary(); l != nil {
		if r.library, err = routeLibrary(p, l); err != nil {
			return nil, err
		}
		r.pools = make([]compression.Pool, len(ctx.Loops))
	}
	return r, nil
}

func routeLibrary(p field.Path, c *corev3.TypedExtensionConfig) (*compression.Library, error) {
	return compression.Compile(p.Dot("overrides").Dot("compressor_library"), c)
}
