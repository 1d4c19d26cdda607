package xds

import "strings"

// Type URLs of the resources that weir subscribes to.
const (
	ListenerType = "type.googleapis.com/envoy.config.listener.v3.Listener"
	ClusterType  = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	RouteType    = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
	SecretType   = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
	EndpointType = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
	RuntimeType  = "type.googleapis.com/envoy.service.runtime.v3.Runtime"
)

// adsMethod is the stream on which all types share an order.
const adsMethod = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"

// streamMethod is the gRPC method that serves one type alone, "" if weir knows
// none.
func streamMethod(typeURL string) string {
	switch typeURL {
	case ListenerType:
		return "/envoy.service.listener.v3.ListenerDiscoveryService/StreamListeners"
	case ClusterType:
		return "/envoy.service.cluster.v3.ClusterDiscoveryService/StreamClusters"
	case RouteType:
		return "/envoy.service.route.v3.RouteDiscoveryService/StreamRoutes"
	case SecretType:
		return "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets"
	case EndpointType:
		return "/envoy.service.endpoint.v3.EndpointDiscoveryService/StreamEndpoints"
	case RuntimeType:
		return "/envoy.service.runtime.v3.RuntimeDiscoveryService/StreamRuntime"
	}
	return ""
}

// shortType is the message's name without its package: "Listener".
func shortType(typeURL string) string { return typeURL[strings.LastIndexByte(typeURL, '.')+1:] }
