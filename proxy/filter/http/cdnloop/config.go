package cdnloop

import (
	cdnloopv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cdn_loop/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/http"
)

// TypeURL is the type of the filter's configuration.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.http.cdn_loop.v3.CdnLoopConfig"

// Maker makes the filter's factories.
func Maker() http.FilterMaker {
	return http.FilterMaker{New: http.NewFrom(func(p field.Path, m *cdnloopv3.CdnLoopConfig, _ *http.FactoryContext) (http.FilterFactory, error) {
		if err := field.Only(p, m, "cdn_id", "max_allowed_occurrences"); err != nil {
			return nil, err
		}
		if n := cdnID(m.GetCdnId()); n == 0 || n != len(m.GetCdnId()) {
			return nil, p.Dot("cdn_id").Errorf("%q is not a CDN identifier (RFC 8586)", m.GetCdnId())
		}
		return factory{id: m.GetCdnId(), most: int(m.GetMaxAllowedOccurrences())}, nil
	})}
}
