package cdnloop

import (
	cdnloopv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cdn_loop/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/xds/protos"
)

// TypeURL is the type of the filter's configuration.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.http.cdn_loop.v3.CdnLoopConfig"

// Maker makes the filter's factories.
func Maker() http.FilterMaker {
	return http.FilterMaker{New: func(p field.Path, config *anypb.Any, _ *http.FactoryContext) (http.FilterFactory, error) {
		m := &cdnloopv3.CdnLoopConfig{}
		if err := protos.Unpack(p, config, m); err != nil {
			return nil, err
		}
		if err := field.Only(p, m, "cdn_id", "max_allowed_occurrences"); err != nil {
			return nil, err
		}
		if n := cdnID(m.GetCdnId()); n == 0 || n != len(m.GetCdnId()) {
			return nil, p.Dot("cdn_id").Errorf("%q is not a CDN identifier (RFC 8586)", m.GetCdnId())
		}
		return factory{id: m.GetCdnId(), most: int(m.GetMaxAllowedOccurrences())}, nil
	}}
}
