package setfilterstate

import (
	statev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/set_filter_state/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/filterstate"
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/network"
)

// TypeURL is the type of the filter's configuration.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.network.set_filter_state.v3.Config"

// Factory makes the filter's factories.
func Factory() listener.NetworkFactory { return listener.NetworkFrom(compile) }

func compile(p field.Path, m *statev3.Config, _ *listener.FactoryContext) (network.FilterFactory, error) {
	if err := field.Only(p, m, "on_new_connection", "on_downstream_tls_handshake"); err != nil {
		return nil, err
	}
	s := &settings{}
	var err error
	if s.early, err = filterstate.Compile(p.Dot("on_new_connection"), m.GetOnNewConnection()); err != nil {
		return nil, err
	}
	if s.late, err = filterstate.Compile(p.Dot("on_downstream_tls_handshake"), m.GetOnDownstreamTlsHandshake()); err != nil {
		return nil, err
	}
	return s.newFilter, nil
}
