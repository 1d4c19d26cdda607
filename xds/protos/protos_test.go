package protos_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	_ "github.com/weirproxy/weir/xds/protos"
)

// The types that control planes emit most must be known, or a bootstrap that
// has one is refused as a whole.
func TestTypesAreLinked(t *testing.T) {
	const types = `
		access_loggers.file.v3.FileAccessLog access_loggers.filters.cel.v3.ExpressionFilter access_loggers.grpc.v3.HttpGrpcAccessLogConfig
		access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig access_loggers.stream.v3.StdoutAccessLog
		clusters.dns.v3.DnsCluster clusters.dynamic_forward_proxy.v3.ClusterConfig compression.gzip.compressor.v3.Gzip
		filters.http.compressor.v3.Compressor filters.http.cors.v3.Cors filters.http.csrf.v3.CsrfPolicy filters.http.ext_authz.v3.ExtAuthz
		filters.http.ext_authz.v3.ExtAuthzPerRoute filters.http.ext_proc.v3.ExternalProcessor filters.http.fault.v3.HTTPFault
		filters.http.grpc_stats.v3.FilterConfig filters.http.grpc_web.v3.GrpcWeb filters.http.jwt_authn.v3.JwtAuthentication
		filters.http.local_ratelimit.v3.LocalRateLimit filters.http.lua.v3.Lua filters.http.ratelimit.v3.RateLimit filters.http.rbac.v3.RBAC
		filters.http.router.v3.Router filters.listener.http_inspector.v3.HttpInspector filters.listener.original_dst.v3.OriginalDst
		filters.listener.original_src.v3.OriginalSrc filters.listener.proxy_protocol.v3.ProxyProtocol filters.listener.tls_inspector.v3.TlsInspector
		filters.network.direct_response.v3.Config filters.network.http_connection_manager.v3.HttpConnectionManager
		filters.network.rbac.v3.RBAC filters.network.tcp_proxy.v3.TcpProxy load_balancing_policies.least_request.v3.LeastRequest
		load_balancing_policies.random.v3.Random load_balancing_policies.round_robin.v3.RoundRobin matching.common_inputs.ssl.v3.UriSanInput
		request_id.uuid.v3.UuidRequestIdConfig retry.host.previous_hosts.v3.PreviousHostsPredicate
		transport_sockets.raw_buffer.v3.RawBuffer transport_sockets.tls.v3.DownstreamTlsContext transport_sockets.tls.v3.SPIFFECertValidatorConfig
		transport_sockets.tls.v3.UpstreamTlsContext upstreams.http.v3.HttpProtocolOptions`
	for _, name := range strings.Fields(types) {
		if _, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName("envoy.extensions." + name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
