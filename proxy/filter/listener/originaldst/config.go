package originaldst

import (
	originaldstv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/original_dst/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/xds/protos"
)

// TypeURL is the type of the filter's configuration, which has no fields.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.listener.original_dst.v3.OriginalDst"

// New is a listener.FilterFactory.
func New(path field.Path, config *anypb.Any, _ *listener.FactoryContext) (listener.Filter, error) {
	return filter{}, protos.Unpack(path, config, &originaldstv3.OriginalDst{})
}
