package compatibility

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// harmless are fields that weir takes without looking, and why that is right.
var harmless = map[string]string{
	"envoy.config.bootstrap.v3.Bootstrap.grpc_async_client_manager_config":                                              "how long Envoy keeps gRPC clients that nobody uses",
	"envoy.config.bootstrap.v3.Bootstrap.inline_headers":                                                                "headers that Envoy finds faster",
	"envoy.config.bootstrap.v3.Bootstrap.memory_allocator_manager":                                                      "for tcmalloc",
	"envoy.config.bootstrap.v3.Admin.ignore_global_conn_limit":                                                          "connections to the admin pages never count",
	"envoy.config.bootstrap.v3.Bootstrap.DeferredStatOptions.enable_deferred_creation_stats":                            "when Envoy allocates",
	"envoy.config.bootstrap.v3.Bootstrap.node_context_params":                                                           "for xdstp:// names, which are refused",
	"envoy.config.bootstrap.v3.ClusterManager.enable_deferred_cluster_creation":                                         "when Envoy allocates",
	"envoy.config.core.v3.ConfigSource.self":                                                                            "has no fields",
	"envoy.config.core.v3.HealthCheck.alt_port":                                                                         "Envoy takes it, and checks at the host's port",
	"envoy.config.core.v3.GrpcService.GoogleGrpc.stat_prefix":                                                           "statistics of a client library that weir is without",
	"envoy.config.core.v3.Http1ProtocolOptions.use_balsa_parser":                                                        "chooses among Envoy's parsers",
	"envoy.config.core.v3.JsonFormatOptions.sort_properties":                                                            "always sorted",
	"envoy.config.core.v3.Node":                                                                                         "told to servers as it is",
	"envoy.config.listener.v3.Listener.reuse_port":                                                                      "replaced by enable_reuse_port, true where not set",
	"envoy.config.metrics.v3.HistogramBucketSettings.bins":                                                              "how many bins are allocated first",
	"envoy.config.route.v3.RetryPolicy.refresh_cluster_on_retry":                                                        "for cluster specifiers, which are refused",
	"envoy.extensions.filters.http.ext_authz.v3.ExtAuthz.route_typed_metadata_context_namespaces":                       "typed metadata of routes is refused",
	"envoy.config.route.v3.WeightedCluster.total_weight":                                                                "Envoy takes the sum",
	"envoy.extensions.bootstrap.internal_listener.v3.InternalListener.buffer_size_kb":                                   "the kernel buffers",
	"envoy.extensions.compression.brotli.compressor.v3.Brotli":                                                          "tuning of a library",
	"envoy.extensions.compression.brotli.decompressor.v3.Brotli":                                                        "tuning of a library",
	"envoy.extensions.compression.gzip.compressor.v3.Gzip":                                                              "tuning of a library",
	"envoy.extensions.compression.gzip.decompressor.v3.Gzip":                                                            "tuning of a library",
	"envoy.extensions.compression.zstd.compressor.v3.Zstd.chunk_size":                                                   "tuning of a library",
	"envoy.extensions.compression.zstd.compressor.v3.Zstd.strategy":                                                     "tuning of a library",
	"envoy.extensions.compression.zstd.decompressor.v3.Zstd.chunk_size":                                                 "tuning of a library",
	"envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor.filter_metadata":                                       "for filters of others: Envoy's own show it nowhere",
	"envoy.extensions.filters.http.ext_proc.v3.ExtProcOverrides.async_mode":                                             "Envoy never did it",
	"envoy.extensions.filters.http.ext_proc.v3.ExtProcOverrides.request_attributes":                                     "Envoy never did it: the filter's own are sent",
	"envoy.extensions.filters.http.ext_proc.v3.ExtProcOverrides.response_attributes":                                    "Envoy never did it: the filter's own are sent",
	"envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor.deferred_close_timeout":                                "how long a stream that nobody waits for is kept",
	"envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector.initial_read_buffer_size":                          "how much is allocated first",
	"envoy.extensions.filters.udp.dns_filter.v3.DnsFilterConfig.stat_prefix":                                            "the node's DNS proxy has statistics of its own",
	"envoy.extensions.filters.udp.udp_proxy.v3.UdpProxyConfig.HashPolicy.source_ip":                                     "the only alternative to key",
	"envoy.extensions.filters.udp.udp_proxy.v3.UdpProxyConfig.UdpAccessLogOptions.flush_access_log_on_tunnel_connected": "tunneling_config is refused",
	"envoy.extensions.http.injected_credentials.oauth2.v3.OAuth2.ClientCredentials.auth_type":                           "makes no difference to Envoy",
	"envoy.tcp.metadataexchange.config.MetadataExchange.enable_discovery":                                               "where a peer that doesn't say who it is would be looked up; Istio's proxy has discovered nothing then, either",
	"envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig.udp_max_queries":                             "when c-ares changes its socket",
	"envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext.disable_stateful_session_resumption":                "there is no cache of sessions",
	"envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext.enforce_rsa_key_usage":                                "always done",
	"envoy.extensions.upstreams.http.v3.HttpProtocolOptions.AutoHttpConfig":                                             "refused by bothOptions",
	"envoy.extensions.upstreams.http.v3.HttpProtocolOptions.ExplicitHttpConfig":                                         "refused by bothOptions",
	"envoy.extensions.upstreams.http.v3.HttpProtocolOptions.UseDownstreamHttpConfig":                                    "refused by bothOptions",
	"xds.type.matcher.v3.CelMatcher":                                                                                    "description",
}

// passedOn are the beginnings of messages that weir writes, or that others
// read whole: CEL's library, and a reader of the same message by another name.
var passedOn = []string{
	"google.protobuf.", "io.prometheus.client.", "google.rpc.", "google.api.expr.", "cel.expr.", "opentelemetry.", "envoy.admin.", "envoy.data.", "envoy.service.",
	"envoy.config.endpoint.v3.ClusterStats", "envoy.config.endpoint.v3.Upstream", "envoy.extensions.common.ratelimit.v3.RateLimitDescriptor",
	"envoy.config.common.matcher.v3.Matcher", "xds.type.matcher.v3.StringMatcher",
}

// TestFields checks that no field of a configuration is read over in silence:
// what a reader names to field.Only is read somewhere, and of a message that
// no reader gives to field.Only every field is.
func TestFields(t *testing.T) {
	u := usesOf(t)
	ignored := map[string]bool{}
	for name := range u.taken {
		if !u.read[name] {
			ignored[name] = true
		}
	}
	for name := range u.met {
		if u.only[name] || slices.ContainsFunc(passedOn, func(p string) bool { return strings.HasPrefix(name, p) }) {
			continue
		}
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
		if err != nil {
			t.Fatal(err)
		}
		for i := range d.(protoreflect.MessageDescriptor).Fields().Len() {
			if f := string(d.(protoreflect.MessageDescriptor).Fields().Get(i).FullName()); !u.read[f] {
				ignored[f] = true
			}
		}
	}
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(ignored)) {
		message := name[:strings.LastIndexByte(name, '.')]
		seen[name], seen[message] = true, true
		if harmless[name] == "" && harmless[message] == "" {
			t.Errorf("%s is taken and ignored: do it, refuse it, or say in the list why nothing needs doing", name)
		}
	}
	for name := range harmless {
		if !seen[name] {
			t.Errorf("the list has %s, which is not ignored", name)
		}
	}
}
