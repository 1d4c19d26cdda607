package directresponse

import (
	"os"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	directresponsev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/direct_response/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
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
	body, err := read(path.Dot("response"), p.GetResponse())
	if err != nil {
		return nil, err
	}
	return func(cb *network.ReadCallbacks) network.ReadFilter { return &filter{cb, body} }, nil
}

func read(path field.Path, d *corev3.DataSource) ([]byte, error) {
	if err := field.Only(path, d, "filename", "inline_bytes", "inline_string", "environment_variable"); err != nil {
		return nil, err
	}
	switch s := d.GetSpecifier().(type) {
	case *corev3.DataSource_Filename:
		b, err := os.ReadFile(s.Filename)
		return b, path.Dot("filename").Wrap(err)
	case *corev3.DataSource_InlineBytes:
		return s.InlineBytes, nil
	case *corev3.DataSource_InlineString:
		return []byte(s.InlineString), nil
	case *corev3.DataSource_EnvironmentVariable:
		v, ok := os.LookupEnv(s.EnvironmentVariable)
		if !ok {
			return nil, path.Dot("environment_variable").Errorf("%q is not set", s.EnvironmentVariable)
		}
		return []byte(v), nil
	}
	return nil, nil
}
