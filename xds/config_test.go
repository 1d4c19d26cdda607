package xds_test

import (
	"testing"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"

	"github.com/weirproxy/weir/xds"
)

func TestSubscribeRefuses(t *testing.T) {
	api := func(change func(*corev3.ApiConfigSource)) *corev3.ConfigSource {
		a := apiSource()
		change(a)
		return &corev3.ConfigSource{ConfigSourceSpecifier: &corev3.ConfigSource_ApiConfigSource{ApiConfigSource: a}}
	}
	service := func(change func(*corev3.GrpcService)) *corev3.ConfigSource {
		return api(func(a *corev3.ApiConfigSource) { change(a.GrpcServices[0]) })
	}
	ads := func(change func(*corev3.ConfigSource)) *corev3.ConfigSource {
		s := adsSource()
		change(s)
		return s
	}
	//lint:ignore SA1019 it is deprecated: that is the case
	const v2 = corev3.ApiVersion_V2
	for _, tc := range []struct {
		name   string
		source *corev3.ConfigSource
		want   string
	}{
		{"nothing", nil, "source: no source: set path_config_source, api_config_source or ads"},
		{"self", &corev3.ConfigSource{ConfigSourceSpecifier: &corev3.ConfigSource_Self{Self: &corev3.SelfConfigSource{}}},
			"source: weir does not support self of envoy.config.core.v3.ConfigSource"},
		{"V2 resources", ads(func(s *corev3.ConfigSource) { s.ResourceApiVersion = v2 }),
			"source.resource_api_version: V2 is no longer supported, set V3"},
		{"V2 transport", api(func(a *corev3.ApiConfigSource) { a.TransportApiVersion = v2 }),
			"source.api_config_source.transport_api_version: V2 is no longer supported, set V3"},
		{"aggregated", api(func(a *corev3.ApiConfigSource) { a.ApiType = corev3.ApiConfigSource_AGGREGATED_DELTA_GRPC }),
			"source.api_config_source.api_type: weir does not support AGGREGATED_DELTA_GRPC"},
		{"REST with gRPC services", api(func(a *corev3.ApiConfigSource) { a.ApiType = corev3.ApiConfigSource_REST }),
			"source.api_config_source: weir does not support grpc_services of envoy.config.core.v3.ApiConfigSource"},
		{"REST without a cluster", api(func(a *corev3.ApiConfigSource) { a.ApiType, a.GrpcServices = corev3.ApiConfigSource_REST, nil }),
			"source.api_config_source.cluster_names: want one cluster, found 0"},
		{"rate limit", api(func(a *corev3.ApiConfigSource) { a.RateLimitSettings = &corev3.RateLimitSettings{} }),
			"source.api_config_source: weir does not support rate_limit_settings of envoy.config.core.v3.ApiConfigSource"},
		{"no service", api(func(a *corev3.ApiConfigSource) { a.GrpcServices = nil }),
			"source.api_config_source.grpc_services: want one service, found 0"},
		{"unknown cluster", service(func(s *corev3.GrpcService) { s.GetEnvoyGrpc().ClusterName = "no" }),
			`source.api_config_source.grpc_services[0].envoy_grpc.cluster_name: no static cluster "no" in static_resources.clusters`},
		{"TLS", service(func(s *corev3.GrpcService) { s.GetEnvoyGrpc().ClusterName = "tls" }),
			`source.api_config_source.grpc_services[0].envoy_grpc.cluster_name: cluster "tls": transport_socket: weir does not support envoy.transport_sockets.tls to a management server`},
		{"EDS cluster", service(func(s *corev3.GrpcService) { s.GetEnvoyGrpc().ClusterName = "eds" }),
			`source.api_config_source.grpc_services[0].envoy_grpc.cluster_name: cluster "eds" is of type EDS: a management server's must be STATIC, STRICT_DNS or LOGICAL_DNS`},
		{"empty cluster", service(func(s *corev3.GrpcService) { s.GetEnvoyGrpc().ClusterName = "empty" }),
			`source.api_config_source.grpc_services[0].envoy_grpc.cluster_name: cluster "empty" has no endpoint`},
		{"no file", fileSource("/does/not/exist", ""), "source.path_config_source.path: stat /does/not/exist: no such file or directory"},
		{"no directory", fileSource("/dev/null", "/does/not/exist"), "source.path_config_source: watching /does/not/exist: no such file or directory"},
	} {
		b := bootstrapFor("127.0.0.1:1")
		b.StaticResources.Clusters = append(b.StaticResources.Clusters,
			&clusterv3.Cluster{Name: "tls", TransportSocket: &corev3.TransportSocket{Name: "envoy.transport_sockets.tls"}},
			&clusterv3.Cluster{Name: "eds", ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS}},
			&clusterv3.Cluster{Name: "empty", LoadAssignment: &endpointv3.ClusterLoadAssignment{}},
		)
		refused(t, tc.name, b, tc.source, tc.want)
	}
	refused(t, "ADS without a server", &bootstrapv3.Bootstrap{}, adsSource(), "source.ads: dynamic_resources.ads_config must be set for this")
}

func refused(t *testing.T, name string, b *bootstrapv3.Bootstrap, src *corev3.ConfigSource, want string) {
	t.Helper()
	c := newClient(t, newMain(t), b)
	_, err := c.Subscribe(xds.Request{Source: src, Path: "source", TypeURL: xds.ListenerType})
	if err == nil || err.Error() != want {
		t.Errorf("%s:\ngot  %v\nwant %s", name, err, want)
	}
}

func TestNewRefuses(t *testing.T) {
	b := bootstrapFor("127.0.0.1:1")
	b.DynamicResources.AdsConfig.ApiType = corev3.ApiConfigSource_AGGREGATED_GRPC
	_, err := xds.New(xds.Options{Bootstrap: b, Post: func(func()) {}})
	const want = "dynamic_resources.ads_config.api_type: weir does not support AGGREGATED_GRPC"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	b = bootstrapFor("127.0.0.1:1")
	b.Node = nil
	_, err = xds.New(xds.Options{Bootstrap: b, Post: func(func()) {}})
	const noNode = "dynamic_resources.ads_config: node 'id' and 'cluster' are required: set them in 'node' or by --service-node and --service-cluster"
	if err == nil || err.Error() != noNode {
		t.Errorf("got %v, want %s", err, noNode)
	}
}
