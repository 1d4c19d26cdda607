package stats

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/config/metrics/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/weirproxy/weir/internal/envoytest"
)

// pages are those compared with Envoy's.
var pages = []string{
	"/stats",
	"/stats?usedonly",
	"/stats?type=Gauges",
	"/stats?filter=upstream_cx.*total",
	"/stats?filter=upstream&invert_filter",
	"/stats?histogram_buckets=cumulative",
	"/stats?histogram_buckets=disjoint",
	"/stats?histogram_buckets=detailed&filter=^(cluster|http.in|vhost)", // not the admin's own, on three lines each
	"/stats?format=json",
	"/stats?format=json&histogram_buckets=cumulative&usedonly",
	"/stats?format=json&histogram_buckets=disjoint",
	"/stats?format=json&histogram_buckets=detailed",
	"/stats?format=json&filter=nothing",
	"/stats/prometheus",
	"/stats/prometheus?usedonly",
	"/stats/prometheus?histogram_buckets=summary",
}

// configs are the values of stats_config that the pages are compared with.
var configs = map[string]string{
	"defaults": `{}`,
	"own tags, own buckets": `{"stats_tags": [
		{"tag_name": "kind", "regex": "^cluster\\..+?\\.((upstream|membership)_)"},
		{"tag_name": "anywhere", "regex": "\\.((default|external)\\.)"},
		{"tag_name": "fixed", "fixed_value": "f"},
		{"tag_name": "envoy.cluster_name", "regex": "^cluster\\.((a\\.b_c)\\.)"}],
		"histogram_bucket_settings": [{"match": {"suffix": "rq_time"}, "buckets": [1, 4, 20]}]}`,
	"fixed tag":       `{"stats_tags": [{"tag_name": "fixed", "fixed_value": "f"}]}`,
	"overrides":       `{"allow_default_tag_overrides": true, "stats_tags": [{"tag_name": "envoy.cluster_name", "regex": "^cluster\\.((a\\.b_c)\\.)"}]}`,
	"no default tags": `{"use_all_default_tags": false, "stats_tags": [{"tag_name": "envoy.response_code"}, {"tag_name": "n", "regex": "^cluster\\.((.+?)\\.)upstream"}]}`,
	"exclusions":      `{"stats_matcher": {"exclusion_list": {"patterns": [{"prefix": "cluster.u1.upstream_cx"}, {"safe_regex": {"regex": ".*rq_.xx"}}]}}}`,
	"inclusions":      `{"stats_matcher": {"inclusion_list": {"patterns": [{"contains": "upstream_rq"}, {"exact": "http.in.downstream_rq_time"}]}}}`,
}

// TestPagesAreEnvoys starts a real Envoy, reads all its statistics, and
// compares the pages written here from those with Envoy's own: with the names
// whole and as prefixes, as groups have them.
func TestPagesAreEnvoys(t *testing.T) {
	for name, text := range configs {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // they mostly wait for a flush
			var proto metricsv3.StatsConfig
			if err := protojson.Unmarshal([]byte(text), &proto); err != nil {
				t.Fatal(err)
			}
			config, err := NewConfig("stats_config", &proto)
			if err != nil {
				t.Fatal(err)
			}
			// With a flush at each question the intervals are empty, and stand still.
			flush := "stats_flush_on_admin: true"
			if name == "defaults" {
				flush = "stats_flush_interval: 3s"
			}
			envoy := startEnvoy(t, flush, text)
			for _, prefixes := range []bool{false, true} {
				s := readSnapshot(t, envoy, config, prefixes)
				for _, page := range pages {
					d := "-"
					for tries := 0; d != "" && tries < 5; tries++ { // an interval may end between snapshot and page
						got, err := writePage(s, page)
						if err != nil {
							t.Fatal(err)
						}
						if d = firstDifference(lines(envoy.Get(t, page)), lines(got)); d != "" {
							s = readSnapshot(t, envoy, config, prefixes)
						}
					}
					if d != "" {
						t.Errorf("%s (prefixes: %v): %s", page, prefixes, d)
					}
				}
			}
		})
	}
}

func writePage(s *Snapshot, page string) (string, error) {
	u, err := url.Parse(page)
	if err != nil {
		return "", err
	}
	options, err := ParseOptions(u.Query())
	if err != nil {
		return "", err
	}
	var b strings.Builder
	switch {
	case u.Path == "/stats/prometheus":
		err = s.WritePrometheus(&b, options)
	case u.Query().Get("format") == "json":
		err = s.WriteJSON(&b, options)
	default:
		err = s.WriteText(&b, options)
	}
	return b.String(), err
}

func firstDifference(want, got []string) string {
	for i := range max(len(want), len(got)) {
		w, g := "(end)", "(end)"
		if i < len(want) {
			w = want[i]
		}
		if i < len(got) {
			g = got[i]
		}
		if w != g {
			return fmt.Sprintf("line %d:\nenvoy %s\nweir  %s", i, w, g)
		}
	}
	return ""
}

// lines splits a page, a JSON one too, and drops what the asking changes.
func lines(page string) []string {
	page = strings.ReplaceAll(page, `{"name"`, "\n{\"name\"")
	return slices.DeleteFunc(strings.Split(page, "\n"), func(l string) bool {
		// Envoy's filesystem is older than its configuration.
		return strings.Contains(l, "admin") || strings.Contains(l, "server") || strings.Contains(l, "filesystem") ||
			strings.Contains(l, "watchdog") // which a busy machine makes bark
	})
}

const bootstrap = `
%s
stats_config: %s
static_resources:
  listeners:
  - name: in
    address: {socket_address: {address: 127.0.0.1, port_value: %d}}
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          route_config:
            virtual_hosts:
            - name: v
              domains: ["*"]
              virtual_clusters: [{name: vc1, headers: [{name: ":path", string_match: {prefix: /vc}}]}]
              routes:
              - {match: {prefix: /direct}, direct_response: {status: 418}}
              - {match: {prefix: /}, route: {cluster: u1}}
          http_filters:
          - {name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
    - filter_chain_match: {destination_port: 1}
      filters:
      - {name: tcp, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: t, cluster: u1}}
  clusters:
  - name: u1
    connect_timeout: 1s
    load_assignment: {cluster_name: u1, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %d}}}}]}]}
  - {name: "a.b:c", connect_timeout: 1s, outlier_detection: {}}
`

// startEnvoy starts an Envoy whose statistics of all kinds have values, and
// waits for a flush, after which the histograms stand still for an interval.
func startEnvoy(t *testing.T, flush, statsConfig string) *envoytest.Envoy {
	upstream, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := 0
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served++
		time.Sleep(time.Duration(served) * time.Millisecond) // values for the histograms
		w.WriteHeader([]int{200, 200, 404, 503}[served%4])
	})}
	go server.Serve(upstream)
	t.Cleanup(func() { server.Close() })
	front := envoytest.FreePort(t)
	e := envoytest.Start(t, fmt.Sprintf(bootstrap, flush, statsConfig, front, upstream.Addr().(*net.TCPAddr).Port))
	for i := range 30 {
		r, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/%s", front, []string{"a", "vc", "direct"}[i%3]))
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, r.Body)
		r.Body.Close()
	}
	for strings.Contains(e.Get(t, "/stats?filter=http.in.downstream_rq_time"), "No recorded values") {
		time.Sleep(20 * time.Millisecond)
	}
	return e
}

// readSnapshot reads Envoy's statistics; with prefixes, in groups of one prefix each.
func readSnapshot(t *testing.T, e *envoytest.Envoy, config *Config, prefixes bool) *Snapshot {
	groups := map[string]*groupSnapshot{}
	place := func(full string) (*groupSnapshot, string) {
		prefix := ""
		if prefixes {
			prefix = full[:strings.LastIndex(full, ".")+1]
		}
		if groups[prefix] == nil {
			groups[prefix] = &groupSnapshot{scope: Scope{Prefix: prefix}}
		}
		return groups[prefix], full[len(prefix):]
	}
	for _, kind := range []string{"Counters", "Gauges"} {
		used := map[string]bool{}
		for _, l := range strings.Split(e.Get(t, "/stats?usedonly&type="+kind), "\n") {
			name, _, _ := strings.Cut(l, ": ")
			used[name] = true
		}
		var page struct {
			Stats []struct {
				Name  string
				Value int64
			}
		}
		readJSON(t, e, "/stats?format=json&type="+kind, &page)
		for _, s := range page.Stats {
			g, name := place(s.Name)
			g.numbers = append(g.numbers, number{name: name, value: s.Value, gauge: kind == "Gauges", used: used[s.Name]})
		}
	}
	var page struct {
		Stats []struct {
			Histograms struct {
				Details []struct {
					Name              string
					Totals, Intervals []jsonBin
				}
			}
		}
	}
	readJSON(t, e, "/stats?format=json&type=Histograms&histogram_buckets=detailed", &page)
	for _, h := range page.Stats[0].Histograms.Details {
		g, name := place(h.Name)
		g.hists = append(g.hists, histogram{name, histogramState{distribution(h.Intervals), distribution(h.Totals)}, config.bounds("", h.Name)})
	}
	s := &Snapshot{config: config}
	for _, g := range groups {
		g.numbers = addUp(g.numbers)
		hidden := len(g.numbers) + len(g.hists)
		if config.hide(g); len(g.numbers)+len(g.hists) != hidden {
			t.Errorf("we hide statistics of %q that Envoy shows", g.scope.Prefix)
		}
		s.groups = append(s.groups, g)
	}
	slices.SortFunc(s.groups, func(a, b *groupSnapshot) int { return cmp.Compare(a.scope.Prefix, b.scope.Prefix) })
	return s
}

func readJSON(t *testing.T, e *envoytest.Envoy, page string, into any) {
	if err := json.Unmarshal([]byte(e.Get(t, page)), into); err != nil {
		t.Fatal(err)
	}
}

type jsonBin struct {
	Lower float64 `json:"lower_bound"`
	Count uint64
}

func distribution(list []jsonBin) Distribution {
	var bins []bin
	for _, j := range list {
		b := bin{n: j.Count}
		for b.lower() < j.Lower-0.01 {
			b.index++
		}
		bins = append(bins, b)
	}
	return newDistribution(bins)
}
