package localratelimit_test

import (
	"slices"
	"testing"

	"github.com/weirproxy/weir/internal/filterrig"
	"github.com/weirproxy/weir/internal/httprig"
	"github.com/weirproxy/weir/proxy/filter/http/localratelimit"
)

const on = "filter_enabled: {default_value: {numerator: 100}}, filter_enforced: {default_value: {numerator: 100}}, "

func start(t *testing.T, routes, config string) *filterrig.Rig {
	return filterrig.Start(t, httprig.Options{Workers: 2}, routes, filterrig.Filter("l", localratelimit.TypeURL, "stat_prefix: p, "+config))
}

// statuses sends so many requests and returns the answers' statuses.
func statuses(r *filterrig.Rig, n int, headers ...string) (out []int) {
	for range n {
		out = append(out, r.Get("/", headers...).Status)
	}
	return out
}

func TestLimit(t *testing.T) {
	for name, c := range map[string]struct {
		config  string
		limited int // of three
	}{
		"enforced":     {on + "token_bucket: {max_tokens: 2, fill_interval: 1000s}", 1},
		"off":          {"token_bucket: {max_tokens: 2, fill_interval: 1000s}", 0},
		"not enforced": {"filter_enabled: {default_value: {numerator: 100}}, token_bucket: {max_tokens: 2, fill_interval: 1000s}", 0},
		"refilled":     {on + "token_bucket: {max_tokens: 1000, tokens_per_fill: 1000, fill_interval: 0.05s}", 0},
		"no bucket":    {on[:len(on)-2], 0},
	} {
		t.Run(name, func(t *testing.T) {
			limited := 0
			for _, s := range statuses(start(t, "", c.config), 3) {
				if s == 429 {
					limited++
				}
			}
			if limited != c.limited {
				t.Errorf("%d are limited, want %d", limited, c.limited)
			}
		})
	}
}

func TestDescriptors(t *testing.T) {
	r := start(t, `{match: {prefix: /}, route: {cluster: u, rate_limits: [{actions: [{request_headers: {header_name: x-u, descriptor_key: user}}]}]}}`,
		on+`token_bucket: {max_tokens: 100, fill_interval: 1000s}, max_dynamic_descriptors: 2, descriptors: [
{entries: [{key: user, value: me}], token_bucket: {max_tokens: 2, fill_interval: 1000s}}, {entries: [{key: user}], token_bucket: {max_tokens: 1, fill_interval: 1000s}}]`)
	for _, c := range []struct {
		user   string
		status int
	}{
		{"me", 200}, {"me", 200}, {"me", 429},
		{"a", 200}, {"a", 429}, {"b", 200}, {"b", 429},
		{"c", 200}, // takes the place of a, which was used last long ago
		{"a", 200},
	} {
		if got := r.Get("/", "x-u", c.user).Status; got != c.status {
			t.Errorf("%s: %d, want %d", c.user, got, c.status)
		}
	}
	r.WantStat("p.http_local_rate_limit.rate_limited", "3")
	r.WantStat("p.http_local_rate_limit.ok", "6")
}

// TestShadow: what is above the rate of a descriptor in shadow mode passes, but
// still takes from the common bucket.
func TestShadow(t *testing.T) {
	r := start(t, "", on+`enable_x_ratelimit_headers: DRAFT_VERSION_03, token_bucket: {max_tokens: 3, fill_interval: 1000s},
rate_limits: [{actions: [{request_headers: {header_name: x-u, descriptor_key: user}}]}],
descriptors: [{entries: [{key: user, value: a}], shadow_mode: true, token_bucket: {max_tokens: 1, fill_interval: 1000s}}]`)
	got := statuses(r, 4, "x-u", "a")
	if want := []int{200, 200, 200, 429}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	r.WantStat("p.http_local_rate_limit.shadow_mode", "2")
	r.WantStat("p.http_local_rate_limit.rate_limited", "3")
	r.WantStat("p.http_local_rate_limit.enforced", "1")
}

func TestPerRoute(t *testing.T) {
	r := start(t, filterrig.Route("/", "l", localratelimit.TypeURL, "stat_prefix: r, status: {code: 503}, "+on+"token_bucket: {max_tokens: 1, fill_interval: 1000s}"), "")
	if got := statuses(r, 2); got[0] != 200 || got[1] != 503 {
		t.Errorf("%v", got)
	}
	r.WantStat("r.http_local_rate_limit.enforced", "1")
}

func TestRefused(t *testing.T) {
	for config, want := range map[string]string{
		"token_bucket: {max_tokens: 1, fill_interval: 0.01s}": "token_bucket.fill_interval",
		"local_cluster_rate_limit: {}":                        "local_cluster_rate_limit",
		"descriptors: [{entries: [{key: a, value: b}], token_bucket: {max_tokens: 1, fill_interval: 1s}}, {entries: [{key: a, value: b}], token_bucket: {max_tokens: 1, fill_interval: 1s}}]": "descriptors[1]: the same descriptor",
	} {
		filterrig.WantRefused(t, want, "", filterrig.Filter("l", localratelimit.TypeURL, "stat_prefix: p, "+config))
	}
	filterrig.WantRefused(t, "token_bucket: a route's configuration needs one", filterrig.Route("/", "l", localratelimit.TypeURL, "stat_prefix: p"), filterrig.Filter("l", localratelimit.TypeURL, "stat_prefix: p"))
}
