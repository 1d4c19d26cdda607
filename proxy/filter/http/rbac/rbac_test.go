package rbac_test

import (
	"testing"

	"github.com/weirproxy/weir/internal/filterrig"
	"github.com/weirproxy/weir/internal/httprig"
	"github.com/weirproxy/weir/proxy/filter/http/rbac"
)

// methodIs is the CEL expression request.method == method, parsed.
func methodIs(method string) string {
	return `{call_expr: {function: _==_, args: [{select_expr: {operand: {ident_expr: {name: request}}, field: method}}, {const_expr: {string_value: ` + method + `}}]}}`
}

func TestRules(t *testing.T) {
	const me = `principals: [{header: {name: x-who, string_match: {exact: me}}}]`
	for name, c := range map[string]struct {
		config, path string
		allowed      bool
	}{
		"allowed":            {`rules: {policies: {p: {permissions: [{any: true}], ` + me + `}}}`, "/", true},
		"no policy":          {`rules: {policies: {p: {permissions: [{destination_port: 1}], ` + me + `}}}`, "/", false},
		"denied":             {`rules: {action: DENY, policies: {p: {permissions: [{any: true}], ` + me + `}}}`, "/", false},
		"path without query": {`rules: {policies: {p: {permissions: [{url_path: {path: {exact: /a}}}], ` + me + `}}}`, "/a?b", true},
		"path template":      {`rules: {policies: {p: {permissions: [{uri_template: {name: t, typed_config: {"@type": type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig, path_template: "/a/{b}"}}}], ` + me + `}}}`, "/a/x?b", true},
		"another path":       {`rules: {policies: {p: {permissions: [{uri_template: {name: t, typed_config: {"@type": type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig, path_template: "/a/{b}"}}}], ` + me + `}}}`, "/a/x/y", false},
		"not":                {`rules: {policies: {p: {permissions: [{not_rule: {url_path: {path: {exact: /a}}}}], ` + me + `}}}`, "/a", false},
		"and":                {`rules: {policies: {p: {permissions: [{and_rules: {rules: [{any: true}, {destination_port_range: {start: 1, end: 2}}]}}], ` + me + `}}}`, "/", false},
		"or":                 {`rules: {policies: {p: {permissions: [{or_rules: {rules: [{any: true}, {destination_ip: {address_prefix: 9.9.9.9, prefix_len: 32}}]}}], ` + me + `}}}`, "/", true},
		"source address":     {`rules: {policies: {p: {permissions: [{any: true}], principals: [{direct_remote_ip: {address_prefix: 127.0.0.0, prefix_len: 8}}]}}}`, "/", true},
		"no certificate":     {`rules: {policies: {p: {permissions: [{any: true}], principals: [{authenticated: {}}]}}}`, "/", false},
		"server name":        {`rules: {policies: {p: {permissions: [{requested_server_name: {exact: ""}}], ` + me + `}}}`, "/", true},
		"logging never ends": {`rules: {action: LOG, policies: {}}`, "/", true},
		"empty tree":         {`matcher: {matcher_list: {matchers: [{predicate: {single_predicate: {input: {name: i, typed_config: {"@type": type.googleapis.com/envoy.extensions.matching.common_inputs.network.v3.SourceIPInput}}, value_match: {exact: x}}}, on_match: {action: {name: a, typed_config: {"@type": type.googleapis.com/envoy.config.rbac.v3.Action, name: a}}}}]}}`, "/", false},
		"shadow only":        {`shadow_rules: {policies: {}}`, "/", true},
		"condition":          {`rules: {policies: {p: {permissions: [{any: true}], principals: [{any: true}], condition: ` + methodIs("GET") + `}}}`, "/", true},
		"condition fails":    {`rules: {policies: {p: {permissions: [{any: true}], principals: [{any: true}], condition: ` + methodIs("PUT") + `}}}`, "/", false},
		"nothing":            {``, "/", true},
	} {
		t.Run(name, func(t *testing.T) {
			r := filterrig.Start(t, httprig.Options{}, "", filterrig.Filter("rbac", rbac.TypeURL, c.config))
			a := r.Get(c.path, "x-who", "me")
			if a.Reached() != c.allowed || !c.allowed && (a.Status != 403 || a.Body != "RBAC: access denied") {
				t.Errorf("%+v", a)
			}
		})
	}
}

func TestRouteAndStatistics(t *testing.T) {
	const nobody = `rules: {policies: {p: {permissions: [{any: true}], principals: [{header: {name: x, present_match: true}}]}}}, shadow_rules: {action: DENY, policies: {s: {permissions: [{any: true}], principals: [{any: true}]}}}, track_per_rule_stats: true`
	r := filterrig.Start(t, httprig.Options{},
		filterrig.Route("/off", "rbac", rbac.RouteTypeURL, "")+", "+filterrig.Route("/get", "rbac", rbac.RouteTypeURL, `rbac: {rules: {policies: {g: {permissions: [{header: {name: ":method", string_match: {exact: GET}}}], principals: [{any: true}]}}}}`)+", {match: {prefix: /}, route: {cluster: u}}",
		filterrig.Filter("rbac", rbac.TypeURL, nobody))
	for path, want := range map[string]bool{"/off": true, "/get": true, "/": false} {
		if a := r.Get(path); a.Reached() != want {
			t.Errorf("%s: %+v", path, a)
		}
	}
	if a := r.Get("/", "x", "y"); !a.Reached() {
		t.Errorf("with the header: %+v", a)
	}
	if a := r.Do("POST", "/get", "x"); a.Reached() {
		t.Errorf("POST: %+v", a)
	}
	for name, want := range map[string]string{"allowed": "2", "denied": "2", "shadow_denied": "2", "policy.p.allowed": "1", "policy.s.shadow_denied": "2"} {
		r.WantStat("http.in.rbac."+name, want)
	}
}

func TestRefused(t *testing.T) {
	for config, want := range map[string]string{
		`rules: {policies: {p: {permissions: [{any: true}], principals: [{any: true}], condition: {call_expr: {function: nope}}}}}`:                                    `rules.policies["p"].condition`,
		`rules: {policies: {p: {permissions: [{matcher: {name: m, typed_config: {"@type": type.googleapis.com/google.protobuf.Empty}}}], principals: [{any: true}]}}}`: "weir does not support matcher",
		`rules: {audit_logging_options: {audit_condition: ON_DENY}}`:                                                                                                   "audit_logging_options",
		`rules: {policies: {p: {permissions: [{destination_port_range: {start: 5, end: 5}}], principals: [{any: true}]}}}`:                                             "not a range of ports",
	} {
		filterrig.WantRefused(t, want, "", filterrig.Filter("rbac", rbac.TypeURL, config))
	}
}
