package stats

import (
	"io"
	"net/url"
	"strings"
	"testing"
)

func TestTags(t *testing.T) {
	for _, tc := range []struct{ name, want string }{
		{"server.live", `envoy_server_live{}`},
		{"cluster.u1.upstream_rq_200", `envoy_cluster_upstream_rq{envoy_response_code="200",envoy_cluster_name="u1"}`},
		{"cluster.u1.external.upstream_rq_5xx", `envoy_cluster_external_upstream_rq_xx{envoy_response_code_class="5",envoy_cluster_name="u1"}`},
		{"cluster.u1.health_check.name.a.b.success", `envoy_cluster_health_check_b_success{envoy_health_check_name="a",envoy_cluster_name="u1"}`},
		{"cluster.u1.upstream_rq_timeout", `envoy_cluster_upstream_rq_timeout{envoy_cluster_name="u1"}`},
		{"cluster.u1.upstream_rq_0rtt", `envoy_cluster_upstream_rq_0rtt{envoy_cluster_name="u1"}`},
		{"http.in.rds.r1.update_success", `envoy_http_rds_update_success{envoy_http_conn_manager_prefix="in",envoy_rds_route_config="r1"}`},
		{"listener.127.0.0.1_80.worker_3.downstream_cx_total", `envoy_listener_worker_downstream_cx_total{envoy_worker_id="3",envoy_listener_address="127.0.0.1_80"}`},
		{"listener.[__1]_80.downstream_cx_total", `envoy_listener_downstream_cx_total{envoy_listener_address="[__1]_80"}`},
		{"listener.admin.http.admin.downstream_rq_2xx", `envoy_listener_admin_http_downstream_rq_xx{envoy_response_code_class="2",envoy_http_conn_manager_prefix="admin"}`},
		{"vhost.v.vcluster.c.upstream_rq_total", `envoy_vhost_vcluster_upstream_rq_total{envoy_virtual_cluster="c",envoy_virtual_host="v"}`},
		{"tcp.p.downstream_cx_total", `envoy_tcp_downstream_cx_total{envoy_tcp_prefix="p"}`},
	} {
		for _, split := range []int{0, strings.LastIndex(tc.name, ".") + 1} {
			s := &Snapshot{config: &Config{tagger: defaultTagger}, groups: []*groupSnapshot{{scope: Scope{Prefix: tc.name[:split]}, numbers: []number{{name: tc.name[split:]}}}}}
			var b strings.Builder
			if err := s.WritePrometheus(&b, Options{Types: All}); err != nil {
				t.Fatal(err)
			}
			if _, sample, _ := strings.Cut(b.String(), "\n"); sample != tc.want+" 0\n" {
				t.Errorf("%s: %s, want %s 0", tc.name, sample, tc.want)
			}
		}
	}
}

func TestTextReadouts(t *testing.T) {
	store, loops := newStore(t, 1)
	store.Text("control_plane.identifier").Set(`a "b" <c>`)
	g := NewGroup[clusterStats](store, Scope{Prefix: "cluster.u1."})
	loops[0].do(func() { g.For(0).Text.Set("v1") })
	s := mustSnapshot(t, store)
	for format, want := range map[string]string{
		"text":       "cluster.u1.version_text: \"v1\"\ncontrol_plane.identifier: \"a &#34;b&#34; &lt;c&gt;\"\n",
		"json":       `{"stats":[{"name":"cluster.u1.version_text","value":"v1"},{"name":"control_plane.identifier","value":"a \"b\" <c>"}]}`,
		"prometheus": "# TYPE envoy_cluster_version_text gauge\nenvoy_cluster_version_text{envoy_cluster_name=\"u1\",text_value=\"v1\"} 0\n# TYPE envoy_control_plane_identifier gauge\nenvoy_control_plane_identifier{text_value=\"a \\\"b\\\" <c>\"} 0\n",
	} {
		var b strings.Builder
		o := Options{Types: TextReadouts, TextReadouts: true}
		if err := map[string]func(io.Writer, Options) error{"text": s.WriteText, "json": s.WriteJSON, "prometheus": s.WritePrometheus}[format](&b, o); err != nil {
			t.Fatal(err)
		}
		if b.String() != want {
			t.Errorf("%s: got %s, want %s", format, b.String(), want)
		}
	}
}

// A gauge that went back to 0 has been used; a sum torn between two owners is not shown below 0.
func TestGaugePages(t *testing.T) {
	store, loops := newStore(t, 2)
	g := NewGroup[clusterStats](store, Scope{Prefix: "c."})
	loops[0].do(func() { g.For(0).Active.Inc(); g.For(0).Active.Dec() })
	var b strings.Builder
	if err := mustSnapshot(t, store).WriteText(&b, Options{Types: All, UsedOnly: true}); err != nil {
		t.Fatal(err)
	}
	if want := "c.upstream_cx_active: 0\n"; b.String() != want {
		t.Errorf("usedonly shows %q, want %q", b.String(), want)
	}
	loops[1].do(func() { g.For(1).Active.Dec() })
	b.Reset()
	if err := mustSnapshot(t, store).WriteText(&b, Options{Types: Gauges}); err != nil {
		t.Fatal(err)
	}
	if want := "c.upstream_cx_active: 0\n"; b.String() != want {
		t.Errorf("a gauge at -1 shows as %q, want %q", b.String(), want)
	}
}

func TestParseOptionsErrors(t *testing.T) {
	for query, want := range map[string]string{
		"filter=((":             "Invalid re2 regex: missing ): ((",
		"type=foo":              "invalid &type= param",
		"histogram_buckets=foo": "usage: /stats?histogram_buckets=(cumulative|disjoint|detailed|summary|prometheusnative)\n",
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = ParseOptions(values); err == nil || err.Error() != want {
			t.Errorf("%s: error %v, want %s", query, err, want)
		}
	}
}

func TestCompareNames(t *testing.T) {
	names := []string{"", "a", "ab", "a.b", "a.", "b", "a.b.c", "ba"}
	for _, a := range names {
		for _, b := range names {
			for i := range len(a) + 1 {
				for j := range len(b) + 1 {
					if got, want := compareNames(a[:i], a[i:], b[:j], b[j:]), strings.Compare(a, b); got != want {
						t.Fatalf("compareNames(%q+%q, %q+%q) = %d, want %d", a[:i], a[i:], b[:j], b[j:], got, want)
					}
				}
			}
		}
	}
}

// BenchmarkScrape is a Prometheus scrape of 10,000 clusters, all in use.
func BenchmarkScrape(b *testing.B) {
	store, loops := newStore(b, 2)
	for i := range 10000 {
		g := NewGroup[clusterStats](store, Scope{Prefix: "cluster.c" + strings.Repeat("x", i%7) + string(rune('0'+i%10)) + string(rune('a'+i/10%26)) + string(rune('a'+i/260)) + "."})
		loops[1].do(func() { g.For(1).Total.Inc(); g.For(1).Rq.Inc(200) })
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := mustSnapshot(b, store).WritePrometheus(io.Discard, Options{Types: All}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkIdleClusters(b *testing.B) {
	store, _ := newStore(b, 3)
	b.ReportAllocs()
	for i := range b.N {
		NewGroup[clusterStats](store, Scope{Prefix: "cluster." + string(rune(i)) + string(rune(i>>16)) + "."})
	}
}
