package bootstrap

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// BenchmarkLoad loads 10,000 clusters and 2,000 virtual hosts of five routes,
// as `bench start-10k` does. Baseline for comparison: Envoy needs 4.9 s of CPU
// from exec to ready with it.
func BenchmarkLoad(b *testing.B) {
	path := filepath.Join(b.TempDir(), "bootstrap.json")
	doc := large(10_000, 2_000, 5)
	if err := os.WriteFile(path, []byte(doc), 0o600); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Load(Options{ConfigPath: path}); err != nil {
			b.Fatal(err)
		}
	}
}

// large is a bootstrap with that many clusters, virtual hosts and routes in
// each.
func large(clusters, hosts, routes int) string {
	var s strings.Builder
	s.WriteString(`{"admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 9901}}},
 "static_resources": {"listeners": [{"name": "l", "address": {"socket_address": {"address": "127.0.0.1", "port_value": 10000}},
  "filter_chains": [{"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": {
   "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
   "stat_prefix": "in", "generate_request_id": false, "codec_type": "AUTO", "route_config": {"name": "r", "virtual_hosts": [`)
	for h := range hosts {
		comma(&s, h)
		fmt.Fprintf(&s, `{"name": "v%[1]d", "domains": ["svc-%[1]d.example.com", "*.svc-%[1]d.example.com"], "routes": [`, h)
		for r := range routes {
			comma(&s, r)
			fmt.Fprintf(&s, `{"match": {"prefix": "/api/%d/"}, "route": {"cluster": "c%d"}}`, r, h%clusters)
		}
		s.WriteString("]}")
	}
	s.WriteString(`]}, "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {
    "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}}]}]}],
  "clusters": [`)
	for c := range clusters {
		comma(&s, c)
		fmt.Fprintf(&s, `{"name": "c%[1]d", "type": "STATIC", "connect_timeout": "2s", "circuit_breakers": {"thresholds":
   [{"max_connections": 20000, "max_requests": 20000, "max_pending_requests": 20000}]}, "load_assignment": {"cluster_name": "c%[1]d", "endpoints":
   [{"lb_endpoints": [{"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 19000}}}}]}]}}`, c)
	}
	s.WriteString("]}}\n")
	return s.String()
}

func comma(s *strings.Builder, i int) {
	if i > 0 {
		s.WriteString(", ")
	}
}
