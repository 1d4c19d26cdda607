package istioalpn

import (
	"strings"

	alpnv2 "istio.io/api/envoy/config/filter/http/alpn/v2alpha1"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/upstream"
)

// TypeURL is the type of the filter's configuration.
const TypeURL = "type.googleapis.com/istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig"

// Maker makes the filter's factories; clusters gives each worker's cluster
// table.
func Maker(clusters func(worker int) *upstream.Table) http.FilterMaker {
	return http.FilterMaker{New: http.NewFrom(func(p field.Path, m *alpnv2.FilterConfig, _ *http.FactoryContext) (http.FilterFactory, error) {
		f := &factory{clusters: clusters}
		for i, o := range m.GetAlpnOverride() {
			list := strings.Join(o.GetAlpnOverride(), ",")
			switch o.GetUpstreamProtocol() {
			case alpnv2.FilterConfig_HTTP10: // never spoken to upstreams
			case alpnv2.FilterConfig_HTTP11:
				f.http1 = list
			case alpnv2.FilterConfig_HTTP2:
				f.http2 = list
			default:
				return nil, p.Dot("alpn_override").Index(i).Dot("upstream_protocol").Errorf("weir does not know %v", o.GetUpstreamProtocol())
			}
		}
		return f, nil
	})}
}
