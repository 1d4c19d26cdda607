package originalsrc

import (
	originalsrcv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/original_src/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/xds/protos"
)

// TypeURL is the type of the filter's configuration.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.listener.original_src.v3.OriginalSrc"

// New is a listener.FilterFactory. bind_port is refused: Envoy has the field,
// but does nothing with it.
func New(path field.Path, config *anypb.Any, _ *listener.FactoryContext) (listener.Filter, error) {
	m := &originalsrcv3.OriginalSrc{}
	if err := protos.Unpack(path, config, m); err != nil {
		return nil, err
	}
	if err := field.Only(path, m, "mark"); err != nil {
		return nil, err
	}
	return filter{mark: m.GetMark()}, nil
}
