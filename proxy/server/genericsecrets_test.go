package server

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
)

// withCredential has one listener, whose only filter before the router gives
// requests the secret "key" as x-key; the answer has it as x-got.
func withCredential(control int, source string) string {
	return fmt.Sprintf(`
node: {id: test, cluster: test}
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
dynamic_resources: {ads_config: {api_type: GRPC, transport_api_version: V3, grpc_services: [{envoy_grpc: {cluster_name: control}}]}}
static_resources:
  clusters:
  - name: control
    typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {"@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, explicit_http_config: {http2_protocol_options: {}}}}
    load_assignment: {cluster_name: control, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %d}}}}]}]}
  listeners:
  - name: l
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters: [{name: h, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager, stat_prefix: in,
        route_config: {virtual_hosts: [{name: a, domains: ["*"], response_headers_to_add: [{header: {key: x-got, value: "%%REQ(x-key)%%"}}], routes: [{match: {prefix: /}, direct_response: {status: 200}}]}]},
        http_filters: [{name: c, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.credential_injector.v3.CredentialInjector,
          credential: {name: g, typed_config: {"@type": type.googleapis.com/envoy.extensions.http.injected_credentials.generic.v3.Generic, header: x-key, credential: {name: key, sds_config: %s}}}}},
          {name: r, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]}}]
`, control, source)
}

func genericSecret(value string) *tlsv3.Secret {
	return &tlsv3.Secret{Name: "key", Type: &tlsv3.Secret_GenericSecret{GenericSecret: &tlsv3.GenericSecret{Secret: inline(value)}}}
}

// wantKey makes requests until one has got the key.
func (p *proxy) wantKey(want string) {
	p.t.Helper()
	addr := p.listener()
	p.until("the key is "+want, func() bool {
		r, err := http.Get("http://" + addr + "/")
		if err != nil {
			return false
		}
		r.Body.Close()
		return r.Header.Get("x-got") == want
	})
}

// TestGenericSecretByGRPC: a listener waits for its filter's secret, and a new
// version is used at once.
func TestGenericSecretByGRPC(t *testing.T) {
	c := newControl(t)
	p := start(t, withCredential(c.port, "{ads: {}, resource_api_version: V3}"))
	p.wantStat("sds.key.update_attempt", "1")
	if c, err := net.Dial("tcp", p.listener()); err == nil {
		c.Close()
		t.Error("a listener without its secret listens")
	}
	c.set(genericSecret("one"))
	p.wantKey("one")
	c.set(genericSecret("two"))
	p.wantKey("two")
	c.set(&tlsv3.Secret{Name: "key", Type: &tlsv3.Secret_SessionTicketKeys{SessionTicketKeys: &tlsv3.TlsSessionTicketKeys{Keys: []*corev3.DataSource{inline(strings.Repeat("x", 80))}}}})
	p.until("a secret of another kind is rejected", func() bool { return !strings.Contains(p.page("/stats?filter=sds.key.update_rejected"), ": 0") })
	p.wantKey("two")
}

// TestGenericSecretByFiles: both the resource and the file that it refers to
// can be replaced.
func TestGenericSecretByFiles(t *testing.T) {
	c := newControl(t)
	dir := t.TempDir()
	sds, key := filepath.Join(dir, "sds.yaml"), filepath.Join(dir, "data", "key")
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o755); err != nil {
		t.Fatal(err)
	}
	replace := func(file, text string) {
		t.Helper()
		if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	replace(key, "one")
	const resource = "resources: [{'@type': type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret, name: key, generic_secret: {secret: %s}}]"
	replace(sds, fmt.Sprintf(resource, "{filename: "+key+"}"))
	p := start(t, withCredential(c.port, "{path_config_source: {path: "+sds+"}}"))
	p.wantKey("one")
	replace(key, "two")
	p.wantKey("two")
	replace(sds, fmt.Sprintf(resource, "{inline_string: three}"))
	p.wantKey("three")
}
