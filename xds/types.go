package xds

import "strings"

// Type URLs of the resources that weir subscribes to.
const (
	ListenerType    = "type.googleapis.com/envoy.config.listener.v3.Listener"
	ClusterType     = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	RouteType       = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
	ScopedRouteType = "type.googleapis.com/envoy.config.route.v3.ScopedRouteConfiguration"
	VirtualHostType = "type.googleapis.com/envoy.config.route.v3.VirtualHost"
	SecretType      = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
	EndpointType    = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
	RuntimeType     = "type.googleapis.com/envoy.service.runtime.v3.Runtime"
	ExtensionType   = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig"
)

// The methods by which all types share a stream, and an order.
const (
	adsMethod      = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"
	adsDeltaMethod = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
)

// service is where one type alone is served: gRPC methods and a path.
type service struct{ stream, delta, rest string }

var services = map[string]service{
	ListenerType:    newService("listener", "ListenerDiscoveryService", "Listeners"),
	ClusterType:     newService("cluster", "ClusterDiscoveryService", "Clusters"),
	RouteType:       newService("route", "RouteDiscoveryService", "Routes"),
	ScopedRouteType: newService("route", "ScopedRoutesDiscoveryService", "ScopedRoutes"),
	VirtualHostType: {delta: "/envoy.service.route.v3.VirtualHostDiscoveryService/DeltaVirtualHosts"},
	SecretType:      newService("secret", "SecretDiscoveryService", "Secrets"),
	EndpointType:    newService("endpoint", "EndpointDiscoveryService", "Endpoints"),
	RuntimeType:     newService("runtime", "RuntimeDiscoveryService", "Runtime"),
	ExtensionType:   newService("extension", "ExtensionConfigDiscoveryService", "ExtensionConfigs"),
}

func newService(pkg, name, what string) service {
	prefix := "/envoy.service." + pkg + ".v3." + name + "/"
	path := map[string]string{"ScopedRoutes": "scoped-routes", "ExtensionConfigs": "extension_configs"}[what]
	if path == "" {
		path = strings.ToLower(what)
	}
	return service{prefix + "Stream" + what, prefix + "Delta" + what, "/v3/discovery:" + path}
}

// shortType is the message's name without its package: "Listener".
func shortType(typeURL string) string { return typeURL[strings.LastIndexByte(typeURL, '.')+1:] }
