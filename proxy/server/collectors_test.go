package server

import (
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/weirproxy/weir/internal/testca"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/telemetry"
	"github.com/weirproxy/weir/proxy/upstream"
)

// TestCollectorOverTLS: a cluster with a TLS context is spoken to over TLS,
// and its certificate is checked.
func TestCollectorOverTLS(t *testing.T) {
	got := make(chan string, 1)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got <- r.Host + r.URL.Path + " " + string(b)
		w.WriteHeader(http.StatusAccepted)
	})
	web := httptest.NewTLSServer(handler)
	defer web.Close()
	host, port, _ := net.SplitHostPort(web.Listener.Addr().String())
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw})

	s := &server{}
	for i := range 2 {
		l, err := network.NewLoop("l", i)
		if err != nil {
			t.Fatal(err)
		}
		s.loops = append(s.loops, l)
		done := make(chan struct{})
		go func() { l.Run(); close(done) }()
		t.Cleanup(func() { l.Exit(); <-done; l.Close() })
	}
	s.stats = stats.NewStore(s.loops[0], s.loops[1])
	run := func(f func()) { // on main
		done := make(chan struct{})
		s.loops[0].Post(func() { f(); close(done) })
		<-done
	}
	run(func() {
		s.clusters = upstream.NewManager(upstream.Options{Main: s.loops[0], Workers: s.loops[1:], Stats: s.stats, Transports: s.upstreamTransports()})
		for name, roots := range map[string]string{"good": string(ca), "bad": testca.New(t, "another").PEM()} {
			text := `{"name": "` + name + `", "connect_timeout": "5s", "load_assignment": {"cluster_name": "c", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"socket_address":
				{"address": "` + host + `", "port_value": ` + port + `}}}}]}]}, "transport_socket": {"name": "tls", "typed_config": {
				"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", "sni": "example.com",
				"common_tls_context": {"validation_context": {"trusted_ca": {"inline_string": "` + strings.ReplaceAll(roots, "\n", "\\n") + `"}}}}}}`
			c := &clusterv3.Cluster{}
			if err := protojson.Unmarshal([]byte(text), c); err != nil {
				t.Fatal(err)
			}
			if _, err := s.clusters.AddOrUpdate("c", c, "", true); err != nil {
				t.Fatal(err)
			}
		}
	})
	send := func(cluster string) (int, error) {
		return collectors{s}.HTTP(cluster).Do(t.Context(), telemetry.Request{Host: "h", Path: "/p", Body: []byte("b")})
	}
	if status, err := send("good"); err != nil || status != 202 {
		t.Fatalf("%d, %v", status, err)
	}
	if r := <-got; r != "h/p b" {
		t.Errorf("%q", r)
	}
	if _, err := send("bad"); err == nil || !strings.Contains(err.Error(), "verify") {
		t.Errorf("a certificate of another authority: %v", err)
	}
	if _, err := send("none"); err == nil || !strings.Contains(err.Error(), "there is no cluster none") {
		t.Errorf("%v", err)
	}
}
