package directresponse

import (
	directresponsev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/direct_response/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/datasource"
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/network"
)

// TypeURL is the type of the filter's configuration.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.network.direct_response.v3.Config"

// Factory makes the filter's factories.
func Factory() listener.NetworkFactory { return listener.NetworkFrom(compile) }

func compile(path field.Path, p *directresponsev3.Config, _ *listener.FactoryContext) (network.FilterFactory, error) {
	if err := field.Only(path, p, "response"); err != nil {
		return nil, err
	}
	var body string
	if p.GetResponse() != nil {
		var err error
		if body, err = datasource.Read(path.Dot("response"), p.GetResponse()); err != nil {
			return nil, err
		}
	}
	bytes := []byte(body)
	return func(cb *network.ReadCallbacks) network.ReadFilter { return &filter{cb, bytes} }, nil
}
