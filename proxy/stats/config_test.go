package stats

import (
	"strings"
	"testing"

	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/config/metrics/v3"
	"google.golang.org/protobuf/encoding/protojson"
)

func newConfig(t *testing.T, text string) (*Config, error) {
	t.Helper()
	var sc metricsv3.StatsConfig
	if err := protojson.Unmarshal([]byte(text), &sc); err != nil {
		t.Fatal(err)
	}
	return NewConfig("stats_config", &sc)
}

func TestNewConfigErrors(t *testing.T) {
	for text, want := range map[string]string{
		`{"stats_tags": [{"regex": "(a)"}]}`: "stats_config.stats_tags[0].tag_name: is empty",
		`{"stats_tags": [{"tag_name": "a", "fixed_value": "b"}, {"tag_name": "a", "regex": "("}]}`: "stats_config.stats_tags[1].regex: error parsing regexp: missing closing ): `(`",
		`{"stats_tags": [{"tag_name": "a"}]}`:                                                      `stats_config.stats_tags[0]: has no regex, and "a" is not a default tag`,
		`{"histogram_bucket_settings": [{"match": {"prefix": "a"}, "buckets": [1, 1]}]}`:           "stats_config.histogram_bucket_settings[0].buckets: must be greater than 0 and unique",
		`{"histogram_bucket_settings": [{"buckets": [1]}]}`:                                        "stats_config.histogram_bucket_settings[0].match: needs one of exact, prefix, suffix, contains, safe_regex",
		`{"stats_matcher": {"exclusion_list": {"patterns": [{"safe_regex": {"regex": "("}}]}}}`:    "stats_config.stats_matcher.exclusion_list.patterns[0].safe_regex: error parsing regexp: missing closing ): `^(?:()$`",
	} {
		if _, err := newConfig(t, text); err == nil || err.Error() != want {
			t.Errorf("%s: error %v, want %s", text, err, want)
		}
	}
	if _, err := NewConfig("stats_config", nil); err != nil {
		t.Errorf("no stats_config: %v", err)
	}
}

func TestMatcher(t *testing.T) {
	store, loops := newStore(t, 1)
	g := NewGroup[clusterStats](store, Scope{Prefix: "cluster.u1."})
	loops[0].do(func() { g.For(0).Rq.Inc(200); g.For(0).Rq.Inc(503); g.For(0).Total.Inc() })
	store.Text("secret").Set("s")
	for text, want := range map[string]string{
		`{"stats_matcher": {"reject_all": true}}`:                                                                                                                  "",
		`{"stats_matcher": {"inclusion_list": {"patterns": [{"suffix": "CX_TOTAL", "ignore_case": true}]}}}`:                                                       "cluster.u1.upstream_cx_total: 1\n",
		`{"stats_matcher": {"exclusion_list": {"patterns": [{"contains": "_cx_"}, {"exact": "secret"}, {"safe_regex": {"regex": ".*_(time|\\dxx|\\d+|text)"}}]}}}`: "cluster.u1.upstream_rq_completed: 2\n",
	} {
		config, err := newConfig(t, text)
		if err != nil {
			t.Fatal(err)
		}
		store.Configure(config)
		var b strings.Builder
		if err := mustSnapshot(t, store).WriteText(&b, Options{Types: All}); err != nil {
			t.Fatal(err)
		}
		if b.String() != want {
			t.Errorf("%s: %q, want %q", text, b.String(), want)
		}
	}
}
