package server

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	secretv3 "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	xdsserver "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/weirproxy/weir/internal/testca"
)

// control is a control plane that serves secrets, aggregated or alone.
type control struct {
	t       testing.TB
	port    int
	cache   cache.SnapshotCache
	version int
}

func newControl(t testing.TB, o ...grpc.ServerOption) *control {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &control{t: t, port: l.Addr().(*net.TCPAddr).Port, cache: cache.NewSnapshotCache(false, cache.IDHash{}, nil)}
	ctx, cancel := context.WithCancel(context.Background())
	s := xdsserver.NewServer(ctx, c.cache, nil)
	g := grpc.NewServer(o...)
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(g, s)
	secretv3.RegisterSecretDiscoveryServiceServer(g, s)
	go g.Serve(l)
	t.Cleanup(func() { cancel(); g.Stop() })
	return c
}

// set replaces the secrets.
func (c *control) set(secrets ...types.Resource) {
	c.t.Helper()
	c.version++
	snap, err := cache.NewSnapshot(fmt.Sprint(c.version), map[resource.Type][]types.Resource{resource.SecretType: secrets})
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.cache.SetSnapshot(context.Background(), "test", snap); err != nil {
		c.t.Fatal(err)
	}
}

func inline(s string) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: s}}
}

func certSecret(p *testca.Pair) *tlsv3.Secret {
	return &tlsv3.Secret{Name: "cert", Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{CertificateChain: inline(p.ChainPEM()), PrivateKey: inline(p.KeyPEM())}}}
}

// withSDS has one HTTPS listener whose certificate comes by the SDS source.
func withSDS(control int, source string) string {
	return withSecureSDS(control, source, "{name: raw, typed_config: {'@type': type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer}}")
}

// withSecureSDS is withSDS whose management server has a transport socket.
func withSecureSDS(control int, source, transport string) string {
	return fmt.Sprintf(`
node: {id: test, cluster: test}
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
dynamic_resources: {ads_config: {api_type: GRPC, transport_api_version: V3, grpc_services: [{envoy_grpc: {cluster_name: control}}]}}
static_resources:
  clusters:
  - name: control
    transport_socket: %s
    typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {"@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, explicit_http_config: {http2_protocol_options: {}}}}
    load_assignment: {cluster_name: control, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %d}}}}]}]}
  listeners:
  - name: l
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters: [{name: h, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager, stat_prefix: in,
        route_config: {virtual_hosts: [{name: a, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 200, body: {inline_string: hello}}}]}]},
        http_filters: [{name: r, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]}}]
      transport_socket: {name: tls, typed_config: {"@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext,
        common_tls_context: {tls_certificate_sds_secret_configs: [{name: cert, sds_config: %s}]}}}
`, transport, control, source)
}

// get makes a request on a connection of its own, and returns the common name
// of the certificate.
func get(ca *testca.Pair, addr string) (string, error) {
	t := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool(), ServerName: "a.example"}, DisableKeepAlives: true}
	r, err := (&http.Client{Transport: t, Timeout: 10 * time.Second}).Get("https://" + addr + "/")
	if err != nil {
		return "", err
	}
	r.Body.Close()
	return r.TLS.PeerCertificates[0].Subject.CommonName, nil
}

// load makes requests until stop, which returns how many it made and the
// first failure.
func load(ca *testca.Pair, addr string) (stop func() (int64, error)) {
	var n atomic.Int64
	ended, done := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-ended:
				done <- nil
				return
			default:
			}
			if _, err := get(ca, addr); err != nil {
				done <- err
				return
			}
			n.Add(1)
		}
	}()
	return func() (int64, error) { close(ended); err := <-done; return n.Load(), err }
}

// TestSecretsByGRPC: a listener warms until its certificate is there, and
// rotation under load fails no request.
func TestSecretsByGRPC(t *testing.T) {
	for name, source := range map[string]string{
		"ads":   "{ads: {}, resource_api_version: V3}",
		"alone": "{api_config_source: {api_type: GRPC, transport_api_version: V3, grpc_services: [{envoy_grpc: {cluster_name: control}}]}, resource_api_version: V3}",
	} {
		t.Run(name, func(t *testing.T) {
			ca := testca.New(t, "root")
			c := newControl(t)
			p := start(t, withSDS(c.port, source))
			p.wantStat("listener_manager.total_listeners_warming", "1")
			if dump := p.page("/config_dump?resource=dynamic_warming_secrets"); !strings.Contains(dump, `"cert"`) {
				t.Errorf("the secret that is waited for is not in the dump:\n%s", dump)
			}
			c.set(certSecret(ca.Issue("0", testca.DNS("a.example"))))
			p.wantStat("listener_manager.total_listeners_active", "1")
			addr := p.listener()
			p.until("requests are served", func() bool { cn, err := get(ca, addr); return err == nil && cn == "0" })
			stop := load(ca, addr)
			for i := range 10 {
				want := fmt.Sprint(i + 1)
				c.set(certSecret(ca.Issue(want, testca.DNS("a.example"))))
				p.until("certificate "+want, func() bool { cn, err := get(ca, addr); return err == nil && cn == want })
			}
			c.set(&tlsv3.Secret{Name: "cert", Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{CertificateChain: inline("rubbish"), PrivateKey: inline("rubbish")}}})
			// The control plane sends it again and again.
			p.until("the bad secret is rejected", func() bool { return !strings.Contains(p.page("/stats?filter=^sds.cert.update_rejected$"), ": 0\n") })
			if n, err := stop(); err != nil || n == 0 {
				t.Errorf("%d requests, then %v", n, err)
			}
			if cn, err := get(ca, addr); cn != "10" || err != nil {
				t.Errorf("after a bad secret the certificate is %q, %v", cn, err)
			}
			dump := p.page("/config_dump")
			if strings.Contains(dump, "BEGIN PRIVATE KEY") || !strings.Contains(dump, "[redacted]") || !strings.Contains(dump, "BEGIN CERTIFICATE") {
				t.Error("the dump of secrets is not redacted")
			}
			if certs := p.page("/certs"); !strings.Contains(certs, `"a.example"`) {
				t.Errorf("/certs:\n%s", certs)
			}
		})
	}
}

// TestSecretsByFiles: a secret's files are read again when others are moved to
// their place, as Kubernetes does by a symbolic link.
func TestSecretsByFiles(t *testing.T) {
	ca := testca.New(t, "root")
	dir := t.TempDir()
	put := func(version, cn string) {
		t.Helper()
		v := filepath.Join(dir, version)
		if err := os.Mkdir(v, 0o700); err != nil {
			t.Fatal(err)
		}
		ca.Issue(cn, testca.DNS("a.example")).Write(v, "tls")
		if cn == "bad" {
			os.WriteFile(filepath.Join(v, "tls.pem"), []byte("rubbish"), 0o600)
		}
		link := filepath.Join(dir, "new")
		if err := os.Symlink(version, link); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(link, filepath.Join(dir, "data")); err != nil {
			t.Fatal(err)
		}
	}
	put("v0", "0")
	sds := filepath.Join(dir, "sds.yaml")
	text := fmt.Sprintf("resources: [{'@type': type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret, name: cert, tls_certificate: {watched_directory: {path: %[1]s}, certificate_chain: {filename: %[1]s/data/tls.pem}, private_key: {filename: %[1]s/data/tls.key}}}]", dir)
	if err := os.WriteFile(sds, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c := newControl(t)
	p := start(t, withSDS(c.port, "{path_config_source: {path: "+sds+"}}"))
	p.wantStat("listener_manager.total_listeners_active", "1")
	addr := p.listener()
	p.until("requests are served", func() bool { cn, err := get(ca, addr); return err == nil && cn == "0" })
	stop := load(ca, addr)
	put("v1", "1")
	p.until("the new certificate", func() bool { cn, err := get(ca, addr); return err == nil && cn == "1" })
	// Replaced between the reading of one file and the other, a certificate
	// does not fit its key for a moment: that may have counted before.
	before := p.count("sds.cert.key_rotation_failed")
	put("v2", "bad")
	p.until("the bad one is noticed", func() bool { return p.count("sds.cert.key_rotation_failed") > before })
	put("v3", "3")
	p.until("the certificate after", func() bool { cn, err := get(ca, addr); return err == nil && cn == "3" })
	if n, err := stop(); err != nil || n == 0 {
		t.Errorf("%d requests, then %v", n, err)
	}
}

// TestControlPlaneOverTLS: the management server is spoken to by mutual TLS,
// with certificates that come from files.
func TestControlPlaneOverTLS(t *testing.T) {
	ca := testca.New(t, "root")
	dir := t.TempDir()
	ca.Write(dir, "ca")
	ca.Issue("proxy").Write(dir, "proxy")
	write := func(name, secret string) string {
		file := filepath.Join(dir, name)
		text := "resources: [{'@type': type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret, " + secret + "}]"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	cert := write("cert.yaml", fmt.Sprintf("name: proxy, tls_certificate: {certificate_chain: {filename: %[1]s/proxy.pem}, private_key: {filename: %[1]s/proxy.key}}", dir))
	trust := write("trust.yaml", fmt.Sprintf("name: trust, validation_context: {trusted_ca: {filename: %s/ca.pem}}", dir))
	c := newControl(t, grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{ca.Issue("control", testca.DNS("control.example")).TLS()},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool()})))
	c.set(certSecret(ca.Issue("0", testca.DNS("a.example"))))
	p := start(t, withSecureSDS(c.port, "{ads: {}, resource_api_version: V3}", fmt.Sprintf(`{name: tls, typed_config: {"@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext, sni: control.example,
      common_tls_context: {alpn_protocols: [h2], tls_certificate_sds_secret_configs: [{name: proxy, sds_config: {path_config_source: {path: %s}}}],
        combined_validation_context: {default_validation_context: {match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: control.example}}]},
          validation_context_sds_secret_config: {name: trust, sds_config: {path_config_source: {path: %s}}}}}}}`, cert, trust)))
	p.wantStat("listener_manager.total_listeners_active", "1")
	addr := p.listener()
	p.until("requests are served", func() bool { cn, err := get(ca, addr); return err == nil && cn == "0" })
}
