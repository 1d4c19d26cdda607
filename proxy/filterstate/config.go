// Fields that Envoy calls deprecated but obeys are obeyed here too.
//
//lint:file-ignore SA1019 see above

package filterstate

import (
	"fmt"

	statev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/common/set_filter_state/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/network"
)

// Objects that are addresses: the first two are for the listener filter
// original_dst on internal connections.
const (
	localKey  = "envoy.filters.listener.original_dst.local_ip"
	remoteKey = "envoy.filters.listener.original_dst.remote_ip"

	destinationKey = "envoy.network.transport_socket.original_dst_address"
)

// factories are the kinds of objects that weir obeys; all are strings to it.
var factories = map[string]bool{
	"envoy.string":                                   true, // for matchers and logs
	"envoy.hashable_string":                          true, // likewise
	"envoy.tcp_proxy.cluster":                        true, // where tcp_proxy sends a connection
	"envoy.tcp_proxy.disable_tunneling":              true,
	"envoy.tcp_proxy.per_connection_idle_timeout_ms": true,
	// What is asked of the upstream TLS connection.
	"envoy.network.upstream_server_name":       true,
	"envoy.network.upstream_subject_alt_names": true,
	"envoy.network.application_protocols":      true,
	// Where connections to internal listeners were going, and who sent them.
	localKey:  true,
	remoteKey: true,
	// Where a cluster of type ORIGINAL_DST sends to.
	destinationKey: true,
}

// Object is what the factory makes of a text, to be set as name. The errors are
// in Envoy's words, for scripts.
func Object(name, factory, text string) (any, error) {
	if !factories[factory] {
		return nil, fmt.Errorf("'%s' does not have an object factory", factory)
	}
	if isAddressKind(factory) && !isAddress(text) {
		return nil, fmt.Errorf("failed to create an object '%s' from value '%s'", name, text)
	}
	return text, nil
}

func isAddressKind(factory string) bool {
	return factory == localKey || factory == remoteKey || factory == destinationKey
}

// Compile compiles the list at p.
func Compile(p field.Path, ms []*statev3.FilterStateValue) (Values, error) {
	var out Values
	for i, m := range ms {
		p := p.Index(i)
		if err := field.Only(p, m, "object_key", "factory_key", "format_string", "read_only", "shared_with_upstream", "skip_if_empty"); err != nil {
			return nil, err
		}
		kind := m.GetFactoryKey()
		if kind == "" {
			kind = m.GetObjectKey()
		}
		if !factories[kind] {
			return nil, p.Errorf("weir has no filter state objects of kind %q", kind)
		}
		format, err := formatter.CompileFormatString(p.Dot("format_string"), m.GetFormatString())
		if err != nil {
			return nil, err
		}
		//lint:ignore SA1019 control planes still send it, and Envoy takes it
		out = append(out, value{name: m.GetObjectKey(), format: format, readOnly: m.GetReadOnly(), skipEmpty: m.GetSkipIfEmpty(),
			address: isAddressKind(kind), sharing: network.Sharing(m.GetSharedWithUpstream())})
	}
	return out, nil
}
