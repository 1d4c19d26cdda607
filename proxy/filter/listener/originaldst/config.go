package originaldst

import (
	originaldstv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/original_dst/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/listener"
)

// TypeURL is the type of the filter's configuration, which has no fields.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.listener.original_dst.v3.OriginalDst"

// Factory makes the filter's factories.
func Factory() listener.FilterFactory { return listener.FilterFrom(compile) }

func compile(field.Path, *originaldstv3.OriginalDst, *listener.FactoryContext) (listener.Filter, error) {
	return filter{}, nil
}
