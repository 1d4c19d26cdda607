package tree

// Context is what a tree is asked about. It decides which inputs the tree may
// have; they are Envoy's.
type Context uint8

const (
	Sockets      Context = 1 << iota // accepted ones, for their filter chain
	Connections                      // for network filters
	Datagrams                        // of UDP
	Streams                          // requests and responses
	RequestRules                     // requests, for RBAC
	Routes                           // requests, for their route

	requests     = Streams | RequestRules
	onConnection = Sockets | Connections | requests
	everywhere   = onConnection | Datagrams | Routes
)

// inputContexts are where an input may be, by the type of its configuration.
var inputContexts = map[string]Context{
	"envoy.extensions.matching.common_inputs.network.v3.DestinationIPInput":       onConnection | Datagrams,
	"envoy.extensions.matching.common_inputs.network.v3.DestinationPortInput":     onConnection | Datagrams,
	"envoy.extensions.matching.common_inputs.network.v3.SourceIPInput":            onConnection | Datagrams,
	"envoy.extensions.matching.common_inputs.network.v3.SourcePortInput":          onConnection | Datagrams,
	"envoy.extensions.matching.common_inputs.network.v3.DirectSourceIPInput":      onConnection,
	"envoy.extensions.matching.common_inputs.network.v3.SourceTypeInput":          Sockets | Streams,
	"envoy.extensions.matching.common_inputs.network.v3.ServerNameInput":          onConnection,
	"envoy.extensions.matching.common_inputs.network.v3.TransportProtocolInput":   Sockets,
	"envoy.extensions.matching.common_inputs.network.v3.ApplicationProtocolInput": Sockets,
	"envoy.extensions.matching.common_inputs.network.v3.FilterStateInput":         onConnection | Routes,
	"envoy.extensions.matching.common_inputs.network.v3.DynamicMetadataInput":     requests,
	"envoy.extensions.matching.common_inputs.environment_variable.v3.Config":      everywhere,
	"envoy.extensions.matching.common_inputs.ssl.v3.UriSanInput":                  onConnection,
	"envoy.extensions.matching.common_inputs.ssl.v3.DnsSanInput":                  onConnection,
	"envoy.extensions.matching.common_inputs.ssl.v3.SubjectInput":                 onConnection,
	"envoy.type.matcher.v3.HttpRequestHeaderMatchInput":                           requests | Routes,
	"envoy.type.matcher.v3.HttpRequestTrailerMatchInput":                          Streams,
	"envoy.type.matcher.v3.HttpResponseHeaderMatchInput":                          Streams,
	"envoy.type.matcher.v3.HttpResponseTrailerMatchInput":                         Streams,
	"envoy.type.matcher.v3.HttpRequestQueryParamMatchInput":                       Streams,
	"envoy.type.matcher.v3.HttpResponseStatusCodeMatchInput":                      Streams,
	"envoy.type.matcher.v3.HttpResponseStatusCodeClassMatchInput":                 Streams,
	"envoy.type.matcher.v3.HttpResponseLocalReplyMatchInput":                      Streams,
	celInputType: requests,
}
