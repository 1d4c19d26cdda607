package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"testing"

	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3" // in the dumps
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/weirproxy/weir/internal/envoytest"
)

const envoyBootstrap = `
static_resources:
  secrets:
  - {name: cert, generic_secret: {secret: {inline_string: hunter2}}}
  listeners:
  - name: in
    address: {socket_address: {address: 127.0.0.1, port_value: %d}}
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          route_config: {name: r1, virtual_hosts: [{name: v, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: u1}}]}]}
          http_filters:
          - {name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - name: u1
    connect_timeout: 1s
    load_assignment: {cluster_name: u1, endpoints: [{locality: {region: a, zone: b}, lb_endpoints: [{endpoint: {hostname: h, address: {socket_address: {address: 127.0.0.1, port_value: 1}}}}, {health_status: UNHEALTHY, endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 2}}}}]}]}
  - {name: "a.b:c", alt_stat_name: alt, connect_timeout: 1s, outlier_detection: {}, circuit_breakers: {thresholds: [{max_connections: 5}, {priority: HIGH, max_retries: 9}]}}
`

// TestPagesAreEnvoys compares our pages about an instance in the state of a
// real Envoy with that Envoy's pages.
func TestPagesAreEnvoys(t *testing.T) {
	envoy := envoytest.Start(t, fmt.Sprintf(envoyBootstrap, envoytest.FreePort(t)))
	configs := envoyConfigs(t, envoy)
	sources := testSources(t)
	sources.Clusters = func(context.Context) ([]Cluster, error) { return envoyClusters(t, envoy), nil }
	sources.Listeners = func(context.Context) ([]Listener, error) {
		name, address, _ := strings.Cut(strings.TrimSpace(envoy.Get(t, "/listeners")), "::")
		return []Listener{{name, []string{address}}}, nil
	}
	sources.Runtime = func(context.Context) (Runtime, error) { return Runtime{}, nil }
	sources.ConfigDump = func(_ context.Context, includeEDS bool) ([]proto.Message, error) {
		return configs(includeEDS), nil
	}
	sources.FailHealthCheck = func(bool) {}
	sources.Drain = func(DrainOptions) error { return nil }
	sources.ReopenLogs = func() {}
	base := serve(t, sources)
	for _, tc := range []struct{ method, page string }{
		{"GET", "/nosuchpage"},
		{"GET", "/ready"},
		// Of several clusters Envoy's order is a hash table's.
		{"GET", "/clusters?filter=u1"},
		{"GET", "/clusters?filter=(("},
		{"GET", "/clusters?filter=a.b"},
		{"GET", "/clusters?format=json&filter=u1"},
		{"GET", "/clusters?format=json&filter=a.b"},
		{"GET", "/listeners"},
		{"GET", "/listeners?format=json"},
		{"GET", "/certs"},
		{"GET", "/runtime"},
		{"POST", "/runtime_modify"},
		{"POST", "/runtime_modify?a=b"},
		{"GET", "/runtime_modify"},
		{"PUT", "/quitquitquit"},
		{"GET", "/logging"},
		{"POST", "/healthcheck/ok"},
		{"POST", "/reopen_logs"},
		{"POST", "/reset_counters"},
		{"POST", "/cpuprofiler"},
		{"GET", "/contention"},
		{"GET", "/hot_restart_version"},
		{"GET", "/stats?type=foo"},
		{"GET", "/stats?format=foo"},
		{"GET", "/stats?filter=(("},
		{"GET", "/stats?filter=nothing"},
		{"GET", "/stats?format=json&filter=nothing"},
		{"GET", "/stats/prometheus?histogram_buckets=detailed"},
		{"GET", "/config_dump"},
		{"GET", "/config_dump?include_eds"},
		{"GET", "/config_dump?name_regex=u1"},
		{"GET", "/config_dump?resource=static_clusters"},
		{"GET", "/config_dump?resource=static_clusters&name_regex=a.b"},
		{"GET", "/config_dump?resource=static_clusters&mask=cluster.name"},
		{"GET", "/config_dump?resource=static_listeners&mask=listener.name,last_updated"},
		{"GET", "/config_dump?resource=dynamic_listeners"},
		{"GET", "/config_dump?resource=static_endpoint_configs&include_eds"},
		{"GET", "/config_dump?resource=static_secrets"},
		{"GET", "/config_dump?resource=foo"},
		{"GET", "/config_dump?resource=bootstrap"},
		{"GET", "/config_dump?mask=bootstrap.node.id"},
		{"GET", "/config_dump?mask=foo.bar"},
	} {
		status, header, want := envoy.Do(t, tc.method, tc.page)
		answer, got := do(t, tc.method, base+tc.page)
		if answer.StatusCode != status {
			t.Errorf("%s %s: status %d, Envoy's %d", tc.method, tc.page, answer.StatusCode, status)
		}
		for _, name := range []string{"Content-Type", "Cache-Control", "X-Content-Type-Options", "Server"} {
			// Of a few errors Envoy leaves out the charset.
			if w, g := strings.Split(header.Get(name), ";")[0], strings.Split(answer.Header.Get(name), ";")[0]; w != g {
				t.Errorf("%s %s: %s is %q, Envoy's %q", tc.method, tc.page, name, g, w)
			}
		}
		if header.Get("Content-Type") == "application/json" {
			compareJSON(t, tc.page, want, got)
		} else if got != want {
			t.Errorf("%s %s: %s", tc.method, tc.page, firstDifference(got, want))
		}
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("line %d is %q, Envoy's %q", i, g[i], w[i])
		}
	}
	return fmt.Sprintf("%d lines, Envoy has %d", len(g), len(w))
}

// compareJSON compares values, and layout as far as order allows: Go prints
// fields in the order of the .proto file, C++ in that of their numbers.
func compareJSON(t *testing.T, page, want, got string) {
	t.Helper()
	var w, g any
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(got), &g); err != nil {
		t.Errorf("%s: %v in %s", page, err, got)
		return
	}
	if !reflect.DeepEqual(w, g) || len(want) != len(got) {
		t.Errorf("%s: %s\nEnvoy's: %s", page, got, want)
	}
}

// envoyConfigs reads Envoy's dump into what our server would be given.
func envoyConfigs(t *testing.T, envoy *envoytest.Envoy) func(includeEDS bool) []proto.Message {
	var messages []proto.Message
	var dump struct{ Configs []json.RawMessage }
	if err := json.Unmarshal([]byte(envoy.Get(t, "/config_dump?include_eds")), &dump); err != nil {
		t.Fatal(err)
	}
	for _, raw := range dump.Configs {
		var typed struct {
			Type string `json:"@type"`
		}
		if err := json.Unmarshal(raw, &typed); err != nil {
			t.Fatal(err)
		}
		m := map[string]proto.Message{
			"BootstrapConfigDump":    &adminv3.BootstrapConfigDump{},
			"ClustersConfigDump":     &adminv3.ClustersConfigDump{},
			"EndpointsConfigDump":    &adminv3.EndpointsConfigDump{},
			"ListenersConfigDump":    &adminv3.ListenersConfigDump{},
			"ScopedRoutesConfigDump": &adminv3.ScopedRoutesConfigDump{},
			"RoutesConfigDump":       &adminv3.RoutesConfigDump{},
			"SecretsConfigDump":      &adminv3.SecretsConfigDump{},
		}[typed.Type[strings.LastIndex(typed.Type, ".")+1:]]
		raw = []byte(strings.Replace(string(raw), `"@type": "`+typed.Type+`",`, "", 1))
		raw = []byte(strings.Replace(string(raw), `"@type": "`+typed.Type+`"`, "", 1))
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(raw, m); err != nil {
			t.Fatalf("%s: %v", typed.Type, err)
		}
		messages = append(messages, m)
	}
	return func(includeEDS bool) (out []proto.Message) {
		for _, m := range messages {
			if _, eds := m.(*adminv3.EndpointsConfigDump); !eds || includeEDS {
				out = append(out, m)
			}
		}
		return out
	}
}

// envoyClusters reads Envoy's text page into what our server would be given.
func envoyClusters(t *testing.T, envoy *envoytest.Envoy) (clusters []Cluster) {
	number := func(s string) uint64 {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, line := range strings.Split(strings.TrimSpace(envoy.Get(t, "/clusters")), "\n") {
		f := strings.Split(line, "::")
		if len(clusters) == 0 || clusters[len(clusters)-1].Name != f[0] {
			clusters = append(clusters, Cluster{Name: f[0]})
		}
		c := &clusters[len(clusters)-1]
		limits := map[string]*Limits{"default_priority": &c.Default, "high_priority": &c.High}[f[1]]
		switch {
		case f[1] == "observability_name":
			c.ObservabilityName = f[2]
		case f[1] == "outlier":
			c.Outlier = &OutlierStatus{-1, -1, -1, -1}
		case f[1] == "added_via_api":
		case limits != nil:
			*map[string]*uint32{"max_connections": &limits.MaxConnections, "max_pending_requests": &limits.MaxPendingRequests,
				"max_requests": &limits.MaxRequests, "max_retries": &limits.MaxRetries}[f[2]] = uint32(number(f[3]))
		default:
			if len(c.Hosts) == 0 || c.Hosts[len(c.Hosts)-1].Address != f[1] {
				c.Hosts = append(c.Hosts, Host{Address: f[1], SuccessRate: -1, LocalOriginSuccessRate: -1})
			}
			h := &c.Hosts[len(c.Hosts)-1]
			switch f[2] {
			case "hostname":
				h.Hostname = f[3]
			case "region":
				h.Region = f[3]
			case "zone":
				h.Zone = f[3]
			case "weight":
				h.Weight = uint32(number(f[3]))
			case "health_flags":
				if f[3] == "/failed_eds_health" {
					h.Health = FailedEDSHealth
				}
			}
		}
	}
	return clusters
}

// The differences that are meant: /help and the home page list our own pages too.
func TestHelpIsEnvoysAndOurs(t *testing.T) {
	envoy := envoytest.Start(t, "")
	_, got := do(t, http.MethodGet, serve(t, Sources{})+"/help")
	if theirs := envoy.Get(t, "/help"); !strings.HasPrefix(got, theirs) || !strings.Contains(got[len(theirs):], "/routes") {
		t.Errorf("help is %s\nEnvoy's: %s", got, theirs)
	}
}
