package route

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/weirproxy/weir/internal/field"
)

// one wraps a route in a configuration of one virtual host.
func one(route string) string {
	return `virtual_hosts: [{name: v, domains: ["*"], routes: [` + route + `]}]`
}

func TestRefused(t *testing.T) {
	big := filepath.Join(t.TempDir(), "big")
	if err := os.WriteFile(big, make([]byte, 5000), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ config, want string }{
		{`vhds: {config_source: {ads: {}}}`, "route_config: weir does not support vhds"},
		{`virtual_hosts: [{name: v, domains: ["*"], cors: {}}]`, "route_config.virtual_hosts[0]: weir does not support cors"},
		{`virtual_hosts: [{name: v}]`, "route_config.virtual_hosts[0].domains: virtual host \"v\" needs at least one domain"},
		{`virtual_hosts: [{name: v, domains: [a.b, A.B]}]`, "route_config.virtual_hosts[0].domains[1]: domain \"a.b\" appears twice"},
		{`virtual_hosts: [{name: v, domains: ["*"]}, {name: w, domains: ["*"]}]`, "virtual_hosts[1].domains[0]: only one virtual host may have the domain"},
		{one(`{match: {prefix: /}}`), "routes[0]: a route needs an action"},
		{one(`{match: {}, route: {cluster: c}}`), "routes[0].match: a route match needs a path specifier"},
		{one(`{match: {path_match_policy: {name: x}}, route: {cluster: c}}`), "routes[0].match.path_match_policy.typed_config: weir has no path matcher"},
		{one(`{match: {path_separated_prefix: /a/}, route: {cluster: c}}`), "match.path_separated_prefix: \"/a/\" must"},
		{one(`{match: {safe_regex: {regex: "a)(b"}}, route: {cluster: c}}`), "match.safe_regex.regex: bad regular expression \"a)(b\""},
		{one(`{match: {safe_regex: {regex: "((((a{1,100}){1,9}){1,9}){1,9})"}}, route: {cluster: c}}`), "match.safe_regex.regex: "},
		{one(`{match: {prefix: /, headers: [{name: a, string_match: {}}]}, route: {cluster: c}}`), "match.headers[0].string_match: a string matcher needs one of"},
		{one(`{match: {prefix: /}, route: {}}`), "routes[0].route: a route action needs cluster"},
		{one(`{match: {prefix: /}, route: {cluster: c, timeout: -1s}}`), "routes[0].route.timeout: a duration must not be negative"},
		{one(`{match: {prefix: /}, route: {cluster: c, early_data_policy: {name: x}}}`), "routes[0].route.early_data_policy: weir has no early data policy"},
		{one(`{match: {prefix: /}, route: {cluster: c, path_rewrite: /x, prefix_rewrite: /y}}`), "only one of prefix_rewrite"},
		{one(`{match: {prefix: /}, route: {cluster: c, prefix_rewrite: /x, regex_rewrite: {pattern: {regex: a}}}}`), "only one of prefix_rewrite and regex_rewrite"},
		{one(`{match: {prefix: /}, route: {cluster: c, regex_rewrite: {pattern: {regex: a}, substitution: "\\"}}}`), "regex_rewrite.substitution: substitution"},
		{one(`{match: {prefix: /}, route: {cluster: c, retry_policy: {retry_back_off: {base_interval: 2s, max_interval: 1s}}}}`), "retry_policy.retry_back_off.max_interval: "},
		{one(`{match: {prefix: /}, route: {weighted_clusters: {clusters: [{name: a}]}}}`), "weighted_clusters: the sum of weights must be greater than 0"},
		{one(`{match: {prefix: /}, route: {cluster: c, hash_policy: [{}]}}`), "hash_policy[0]: a hash policy needs a specifier"},
		{one(`{match: {prefix: /}, route: {cluster: c, upgrade_configs: [{upgrade_type: a}, {upgrade_type: A}]}}`), "upgrade_configs[1].upgrade_type: upgrade type \"A\" appears twice"},
		{one(`{match: {prefix: /}, direct_response: {status: 200, body: {filename: "` + big + `"}}}`), "direct_response.body.filename: " + big + " has 5000 bytes; at most 4096"},
		{one(`{match: {prefix: /}, direct_response: {status: 99}}`), "direct_response.status: the status must be 200 to 599"},
		{one(`{match: {prefix: /}, route: {cluster: c}, request_headers_to_add: [{header: {key: Host, value: a}}]}`), "request_headers_to_add[0].header.key: \"host\""},
		{one(`{match: {prefix: /}, route: {cluster: c}, request_headers_to_remove: [":path"]}`), "request_headers_to_remove[0]: \":path\""},
		{one(`{match: {prefix: /}, route: {cluster: c}, request_headers_to_add: [{header: {key: a, value: "%NOPE%"}}]}`), "request_headers_to_add[0].header.value: "},
		{one(`{match: {prefix: /}, route: {cluster: c}, request_headers_to_add: [{header: {key: a}, append: true, append_action: ADD_IF_ABSENT}]}`), "append and append_action"},
		{one(`{match: {prefix: /}, route: {cluster: gone}}`), "routes[0].route.cluster: unknown cluster \"gone\""},
		{one(`{match: {prefix: /}, route: {weighted_clusters: {clusters: [{name: c, weight: 1}, {name: gone, weight: 1}]}}}`), "weighted_clusters.clusters[1].name: unknown cluster \"gone\""},
	} {
		o := options()
		o.ValidateClusters = true
		o.ClusterKnown = func(name string) bool { return name != "gone" }
		_, err := Compile("route_config", parse(t, tc.config), o)
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "route_config") {
			t.Errorf("%s\n got %v\nwant %s", tc.config, err, tc.want)
		}
	}
}

func TestValidateClusters(t *testing.T) {
	for _, tc := range []struct {
		field   string
		def, ok bool
	}{
		{"", true, false}, {"", false, true}, {"validate_clusters: false\n", true, true}, {"validate_clusters: true\n", false, false},
	} {
		o := Options{ValidateClusters: tc.def, ClusterKnown: func(string) bool { return false }}
		_, err := Compile("", parse(t, tc.field+one(`{match: {prefix: /}, route: {cluster: c}}`)), o)
		if (err == nil) != tc.ok {
			t.Errorf("%q, default %v: %v", tc.field, tc.def, err)
		}
	}
}

func TestForward(t *testing.T) {
	c := compileText(t, `
virtual_hosts:
- name: v
  domains: ["*"]
  retry_policy: {retry_on: "connect-failure,unavailable", num_retries: 3}
  request_mirror_policies: [{cluster: shadow}]
  routes:
  - {match: {path: /default}, route: {cluster: c}}
  - match: {path: /own}
    route:
      cluster: c
      timeout: 0s
      idle_timeout: 2s
      max_stream_duration: {max_stream_duration: 3s, grpc_timeout_header_max: 0s}
      retry_policy: {retry_on: "5xx, reset", retry_back_off: {base_interval: 0.0001s}, per_try_timeout: 1s}
      cluster_not_found_response_code: NOT_FOUND
      priority: HIGH
      metadata_match: {filter_metadata: {envoy.lb: {version: v1}, other: {a: b}}}
`)
	d := c.Route(get("h", "/default"), nil, 0).Forward()
	if d.Timeout != 15*time.Second || d.IdleTimeout != Unset || d.MaxStreamDuration != Unset || d.GrpcTimeoutHeaderMax != Unset || d.MaxGrpcTimeout != Unset {
		t.Errorf("default timeouts: %+v", d)
	}
	if d.Retry.On != RetryConnectFailure|RetryGrpcUnavailable || d.Retry.NumRetries != 3 || len(d.Mirrors) != 1 || d.ClusterNotFoundCode != 503 {
		t.Errorf("inherited: %+v", d)
	}
	r := c.Route(get("h", "/own"), nil, 0)
	f := r.Forward()
	if f.Timeout != 0 || f.IdleTimeout != 2*time.Second || f.MaxStreamDuration != 3*time.Second || f.GrpcTimeoutHeaderMax != 0 {
		t.Errorf("timeouts: %+v", f)
	}
	if p := f.Retry; p.On != Retry5xx|RetryReset || p.NumRetries != 1 || p.BaseInterval != time.Millisecond || p.MaxInterval != 10*time.Millisecond || p.PerTryTimeout != time.Second {
		t.Errorf("retry: %+v", p)
	}
	if f.ClusterNotFoundCode != 404 || !f.HighPriority {
		t.Errorf("%+v", f)
	}
	if m := r.MetadataMatch(); len(m) != 1 || m[0].Key != "version" || m[0].Value != "v1" {
		t.Errorf("metadata_match: %v", m)
	}
}

func TestFilterConfigs(t *testing.T) {
	wrap := func(f *routev3.FilterConfig) *anypb.Any {
		a, err := anypb.New(f)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	value := func(s string) *anypb.Any {
		a, err := anypb.New(wrapperspb.String(s))
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	rc := parse(t, one(`{match: {path: /a}, route: {weighted_clusters: {clusters: [{name: c, weight: 1}]}}}, {match: {path: /b}, route: {cluster: c}}`))
	rc.TypedPerFilterConfig = map[string]*anypb.Any{"f": value("config"), "off": wrap(&routev3.FilterConfig{Disabled: true})}
	v := rc.VirtualHosts[0]
	v.TypedPerFilterConfig = map[string]*anypb.Any{"f": value("vhost"), "odd": wrap(&routev3.FilterConfig{IsOptional: true, Config: wrap(&routev3.FilterConfig{})})}
	v.Routes[0].TypedPerFilterConfig = map[string]*anypb.Any{"off": value("on again")}
	v.Routes[0].GetRoute().GetWeightedClusters().Clusters[0].TypedPerFilterConfig = map[string]*anypb.Any{"f": wrap(&routev3.FilterConfig{Config: value("cluster")})}

	o := Options{FilterConfig: func(p field.Path, filter string, config *anypb.Any) (any, error) {
		var s wrapperspb.StringValue
		if config.UnmarshalTo(&s) != nil {
			return nil, fmt.Errorf("%s: %w", config.GetTypeUrl(), ErrUnknownFilter)
		}
		return s.GetValue(), nil
	}}
	c, err := Compile("", rc, o)
	if err != nil {
		t.Fatal(err)
	}
	a, b := c.Route(get("h", "/a"), nil, 0), c.Route(get("h", "/b"), nil, 0)
	all := a.FilterConfigs("f")
	if all != [...]any{"config", "vhost", nil, "cluster"} || a.FilterConfig("f") != "cluster" || b.FilterConfig("f") != "vhost" || b.FilterConfig("odd") != nil {
		t.Errorf("configs: %v, %v, %v", all, a.FilterConfig("f"), b.FilterConfig("f"))
	}
	if off, known := b.FilterDisabled("off"); !off || !known {
		t.Errorf("b off: %v %v", off, known)
	}
	if off, known := a.FilterDisabled("off"); off || !known {
		t.Errorf("a off: %v %v", off, known)
	}
	if _, known := a.FilterDisabled("other"); known {
		t.Error("other is known")
	}

	v.TypedPerFilterConfig["odd"] = wrap(&routev3.FilterConfig{Config: &anypb.Any{}})
	v.Routes[1].TypedPerFilterConfig = map[string]*anypb.Any{"odd": wrap(&routev3.FilterConfig{Config: wrap(&routev3.FilterConfig{})})}
	if _, err := Compile("rc", rc, o); !errors.Is(err, ErrUnknownFilter) || !strings.Contains(err.Error(), `rc.virtual_hosts[0].routes[1].typed_per_filter_config["odd"]`) {
		t.Errorf("unknown filter: %v", err)
	}
}
