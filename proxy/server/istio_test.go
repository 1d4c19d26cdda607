package server

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirproxy/weir/internal/testca"
)

// istioMesh is a client's proxy and a server's in one: "out" goes on to "in" by
// TLS, each with the peer metadata exchange.
const istioMesh = `
node: {id: sidecar~1, cluster: c, metadata: {NAME: pod, NAMESPACE: ns, WORKLOAD_NAME: w, SECRET: s, LABELS: {app: a, service.istio.io/canonical-name: svc}}}
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
static_resources:
  listeners:
  - name: out
    address: {socket_address: {address: 127.0.0.1, port_value: %[1]d}}
    filter_chains: [{filters: [{name: t, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: out, cluster: mesh,
      access_log: [{name: f, typed_config: {"@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog, path: %[4]q, log_format: {text_format_source: {inline_string: "out %%UPSTREAM_FILTER_STATE(upstream_peer:PLAIN)%%\n"}}}}]}}]}]
  - name: in
    address: {socket_address: {address: 127.0.0.1, port_value: %[2]d}}
    filter_chains:
    - transport_socket: {name: tls, typed_config: {"@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext,
        common_tls_context: {alpn_protocols: [%[7]s, h2], tls_certificates: [{certificate_chain: {inline_string: %[5]q}, private_key: {inline_string: %[6]q}}]}}}
      filters:
      - {name: m, typed_config: {"@type": type.googleapis.com/udpa.type.v1.TypedStruct, type_url: type.googleapis.com/envoy.tcp.metadataexchange.config.MetadataExchange, value: {protocol: istio-peer-exchange, enable_discovery: true, additional_labels: [app]}}}
      - {name: t, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: in, cluster: app,
          access_log: [{name: f, typed_config: {"@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog, path: %[4]q, log_format: {text_format_source: {inline_string: "in %%FILTER_STATE(downstream_peer:FIELD:workload)%%/%%FILTER_STATE(downstream_peer:FIELD:service)%%\n"}}}}]}}
  clusters:
  - name: mesh
    type: STATIC
    load_assignment: {cluster_name: mesh, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %[2]d}}}}]}]}
    transport_socket: {name: tls, typed_config: {"@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext, common_tls_context: {alpn_protocols: [istio-peer-exchange, h2]}}}
    filters: [{name: m, typed_config: {"@type": type.googleapis.com/envoy.tcp.metadataexchange.config.MetadataExchange, protocol: istio-peer-exchange}}]
  - name: app
    type: STATIC
    load_assignment: {cluster_name: app, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %[3]d}}}}]}]}
`

func TestIstioMetadataExchange(t *testing.T) {
	for name, c := range map[string]struct {
		alpn, found, notFound string
		log                   []string
	}{
		"between Istio's proxies": {"istio-peer-exchange", "2", "0", []string{"in w/svc", "out app=a,name=pod,namespace=ns,service=svc,workload=w"}},
		"not agreed on":           {"h2", "0", "2", []string{"in -/-", "out -"}},
	} {
		t.Run(name, func(t *testing.T) {
			app, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer app.Close()
			go func() {
				for {
					conn, err := app.Accept()
					if err != nil {
						return
					}
					go func() { io.Copy(conn, conn); conn.Close() }()
				}
			}()
			free := func() (port int) {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
				return l.Addr().(*net.TCPAddr).Port
			}
			cert := testca.New(t, "ca").Issue("server", testca.DNS("a.test"))
			log, out := filepath.Join(t.TempDir(), "log"), free()
			p := start(t, fmt.Sprintf(istioMesh, out, free(), app.Addr().(*net.TCPAddr).Port, log, cert.PEM(), cert.KeyPEM(), c.alpn))
			var conn net.Conn
			p.until("the listener is there", func() bool {
				conn, err = net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", out))
				return err == nil
			})
			io.WriteString(conn, "hello")
			conn.(*net.TCPConn).CloseWrite()
			if b, err := io.ReadAll(conn); string(b) != "hello" {
				t.Errorf("got %q, %v: only the app's bytes may be seen", b, err)
			}
			conn.Close()
			p.wantStat("metadata_exchange.alpn_protocol_found", c.found)
			p.wantStat("metadata_exchange.alpn_protocol_not_found", c.notFound)
			p.wantStat("metadata_exchange.metadata_added", c.found)
			for _, line := range c.log {
				p.until("the log has "+line, func() bool {
					b, _ := os.ReadFile(log)
					return strings.Contains(string(b), line+"\n")
				})
			}
		})
	}
}
