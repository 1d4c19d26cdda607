package originalsrc

import (
	originalsrcv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/original_src/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/listener"
)

// TypeURL is the type of the filter's configuration.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.listener.original_src.v3.OriginalSrc"

// Factory makes the filter's factories. bind_port is refused: Envoy has the field,
// but does nothing with it.
func Factory() listener.FilterFactory { return listener.FilterFrom(compile) }

func compile(path field.Path, m *originalsrcv3.OriginalSrc, _ *listener.FactoryContext) (listener.Filter, error) {
	if err := field.Only(path, m, "mark"); err != nil {
		return nil, err
	}
	return filter{mark: m.GetMark()}, nil
}
