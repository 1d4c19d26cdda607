package route

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

// TestRateLimitDescriptors: each action's entry, and what leaves it out.
func TestRateLimitDescriptors(t *testing.T) {
	for _, c := range []struct{ actions, want string }{
		{`{source_cluster: {}}, {destination_cluster: {}}`, "source_cluster=me destination_cluster=c"},
		{`{request_headers: {header_name: X-User, descriptor_key: user}}`, "user=ann"},
		{`{request_headers: {header_name: x-none, descriptor_key: user}}, {source_cluster: {}}`, "none"},
		{`{request_headers: {header_name: x-none, descriptor_key: user, skip_if_absent: true}}, {source_cluster: {}}`, "source_cluster=me"},
		{`{request_headers: {header_name: x-none, descriptor_key: user, skip_if_absent: true}}`, "none"},
		{`{query_parameters: {query_parameter_name: q, descriptor_key: k}}`, "k=a b"},
		{`{query_parameters: {query_parameter_name: r, descriptor_key: k}}`, "none"},
		{`{remote_address: {}}, {masked_remote_address: {v4_prefix_mask_len: 16}}`, "remote_address=10.1.2.3 masked_remote_address=10.1.0.0/16"},
		{`{generic_key: {descriptor_value: v}}, {generic_key: {descriptor_value: w, descriptor_key: k}}`, "generic_key=v k=w"},
		{`{header_value_match: {descriptor_value: v, headers: [{name: x-user, string_match: {exact: ann}}]}}`, "header_match=v"},
		{`{header_value_match: {descriptor_value: v, expect_match: false, headers: [{name: x-user, string_match: {exact: ann}}]}}`, "none"},
		{`{query_parameter_value_match: {descriptor_value: v, query_parameters: [{name: q, present_match: true}]}}`, "query_match=v"},
		{`{metadata: {descriptor_key: k, metadata_key: {key: ns, path: [{key: a}, {key: b}]}}}`, "k=deep"},
		{`{metadata: {descriptor_key: k, metadata_key: {key: ns, path: [{key: x}]}, default_value: d}}`, "k=d"},
		{`{dynamic_metadata: {descriptor_key: k, metadata_key: {key: ns, path: [{key: x}]}}}`, "none"},
		{`{metadata: {descriptor_key: k, source: ROUTE_ENTRY, metadata_key: {key: r, path: [{key: a}]}}}`, "k=route"},
		{`{remote_address_match: {descriptor_value: "%REQ(x-user)%", address_matcher: {ranges: [{address_prefix: 10.0.0.0, prefix_len: 8}]}}}`, "remote_address_match=ann"},
		{`{remote_address_match: {descriptor_value: v, address_matcher: {ranges: [{address_prefix: 10.0.0.0, prefix_len: 8}], invert_match: true}}}`, "none"},
	} {
		rc := parse(t, one(`{match: {prefix: /}, metadata: {filter_metadata: {r: {a: route}}}, route: {cluster: c, rate_limits: [{actions: [`+c.actions+`]}]}}`))
		o := Options{CompileFormat: func(s string) (ValueFormatter, error) { return formatter.CompileHeader("", s) }}
		cfg, err := Compile("", rc, o)
		if err != nil {
			t.Errorf("%s: %v", c.actions, err)
			continue
		}
		h := get("h", "/x?q=a%20b&r=")
		h.AddName("x-user", "ann")
		info := &streaminfo.Info{Metadata: map[string]map[string]any{"ns": {"a": map[string]any{"b": "deep"}}}}
		info.DownstreamRemote = network.Address{AddrPort: netip.MustParseAddrPort("10.1.2.3:5")}
		r := cfg.Route(h, info, 0)
		rq := &LimitRequest{Format: &FormatContext{Info: info, RequestHeaders: h}, Route: r, ServiceCluster: "me"}
		entries, ok := r.Forward().RateLimits[0].Append(nil, rq)
		var got []string
		for _, e := range entries {
			got = append(got, fmt.Sprintf("%s=%s", e.Key, e.Value))
		}
		if !ok {
			got = append(got, "none")
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: %s, want %s", c.actions, s, c.want)
		}
	}
}

func TestRateLimitOverrideAndHits(t *testing.T) {
	rc := parse(t, one(`{match: {prefix: /}, route: {cluster: c, rate_limits: [
		{actions: [{source_cluster: {}}], limit: {rate_limit: {requests_per_unit: 7, unit: HOUR}}},
		{actions: [{source_cluster: {}}], limit: {dynamic_metadata: {metadata_key: {key: ns, path: [{key: l}]}}}}]}}`))
	cfg, err := Compile("", rc, Options{})
	if err != nil {
		t.Fatal(err)
	}
	info := &streaminfo.Info{Metadata: map[string]map[string]any{"ns": {"l": map[string]any{"requests_per_unit": 42.0, "unit": "minute"}}}}
	h := &http.HeaderMap{}
	rq := &LimitRequest{Format: &FormatContext{Info: info, RequestHeaders: h}}
	limits := cfg.Route(get("h", "/"), info, 0).Forward().RateLimits
	for i, want := range []string{"7 3 true", "42 2 true"} {
		n, unit, ok := limits[i].Override(rq)
		if got := fmt.Sprint(n, unit, ok); got != want {
			t.Errorf("override %d: %s, want %s", i, got, want)
		}
	}
	info.Metadata["ns"]["l"] = map[string]any{"requests_per_unit": -1.0, "unit": "minute"}
	if _, _, ok := limits[1].Override(rq); ok {
		t.Error("a negative override is taken")
	}
}
