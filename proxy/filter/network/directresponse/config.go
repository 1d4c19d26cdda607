package directresponse

import (
	directresponsev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/direct_response/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/datasource"
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/xds/protos"
)

// TypeURL is the type of the filter's configuration.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.network.direct_response.v3.Config"

// New is a listener.NetworkFactory.
func New(path field.Path, config *anypb.Any, _ *listener.FactoryContext) (network.FilterFactory, error) {
	p := &directresponsev3.Config{}
	if err := protos.Unpack(path, config, p); err != nil {
		return nil, err
	}
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
