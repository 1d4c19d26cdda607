package filter_test

import (
	"strings"
	"testing"

	"github.com/weirproxy/weir/internal/filterrig"
	"github.com/weirproxy/weir/internal/httprig"
	"github.com/weirproxy/weir/proxy/filter/http/composite"
	"github.com/weirproxy/weir/proxy/filter/http/fault"
	"github.com/weirproxy/weir/proxy/filter/http/headermutation"
)

const (
	byHeader    = `matcher_tree: {input: {name: i, typed_config: {"@type": type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput, header_name: x-do-what}}, exact_match_map: {map: {`
	byStatus    = `matcher_tree: {input: {name: i, typed_config: {"@type": type.googleapis.com/envoy.type.matcher.v3.HttpResponseStatusCodeMatchInput}}, exact_match_map: {map: {`
	skip        = `{action: {name: s, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.common.matcher.action.v3.SkipFilter}}}`
	teapot      = `{"@type": ` + fault.TypeURL + `, abort: {http_status: 418, percentage: {numerator: 100}}}`
	addResponse = `{"@type": ` + headermutation.TypeURL + `, mutations: {response_mutations: [{append: {header: {key: x-added, value: "1"}}}]}}`
)

func execute(config string) string {
	return `{action: {name: e, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.composite.v3.ExecuteFilterAction, typed_config: {name: f, typed_config: ` + config + `}}}}`
}

func TestSkippedFilter(t *testing.T) {
	r := filterrig.Start(t, httprig.Options{}, "", filterrig.Filter("m", composite.MatcherTypeURL, "extension_config: {name: f, typed_config: "+teapot+"}, xds_matcher: {"+byHeader+"skip: "+skip+"}}}}"))
	for what, status := range map[string]int{"skip": 200, "other": 418} {
		if a := r.Get("/", "x-do-what", what); a.Status != status {
			t.Errorf("%s: %+v", what, a)
		}
	}
}

// TestChosenFilter has the request's head choose a filter, or the response's.
func TestChosenFilter(t *testing.T) {
	r := filterrig.Start(t, httprig.Options{}, "",
		filterrig.Filter("c", composite.TypeURL, "matcher: {"+byHeader+"fail: "+execute(teapot)+"}}}}"),
		filterrig.Filter("d", composite.TypeURL, `matcher: {`+byStatus+`"404": `+execute(addResponse)+"}}}}"))
	if a := r.Get("/", "x-do-what", "fail"); a.Status != 418 {
		t.Errorf("not chosen by the request: %+v", a)
	}
	if a := r.Get("/", "x-do", "status=404"); a.Status != 404 || a.Header.Get("x-added") != "1" {
		t.Errorf("not chosen by the response: %+v", a)
	}
	if a := r.Get("/"); a.Status != 200 || a.Header.Get("x-added") != "" {
		t.Errorf("chosen by nothing: %+v", a)
	}
}

func TestCompositeRefused(t *testing.T) {
	for config, want := range map[string]string{
		"matcher: {" + byHeader + `a: ` + execute(`{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}`) + "}}}}": "a terminal filter cannot be chosen",
		"matcher: {" + byHeader + `a: ` + execute(`{"@type": type.googleapis.com/google.protobuf.Empty}`) + "}}}}":                          "weir has no HTTP filter of type",
		"matcher: {" + byHeader + `a: {action: {name: e, typed_config: {"@type": type.googleapis.com/google.protobuf.Empty}}}}}}}`:          "weir has no action",
		"named_filter_chains: {a: {}}": "named_filter_chains",
	} {
		filterrig.WantRefused(t, want, "", filterrig.Filter("c", composite.TypeURL, config))
	}
}

// TestCompositeChains: several filters run as one, by name or in place.
func TestCompositeChains(t *testing.T) {
	add := func(name string) string {
		return `{name: ` + name + `, typed_config: {"@type": ` + headermutation.TypeURL + `, mutations: {response_mutations: [{append: {header: {key: x-m, value: ` + name + `}}}]}}}`
	}
	act := func(what string) string {
		return `{action: {name: e, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.composite.v3.ExecuteFilterAction, ` + what + `}}}`
	}
	r := filterrig.Start(t, httprig.Options{}, "", filterrig.Filter("c", composite.TypeURL,
		`named_filter_chains: {all: {typed_config: [`+add("a")+", "+add("b")+`]}}, matcher: {matcher_tree: {input: {name: i, typed_config: {"@type": type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput, header_name: x-c}}, exact_match_map: {map: {named: `+
			act("filter_chain_name: all")+", own: "+act("filter_chain: {typed_config: ["+add("c")+", "+add("d")+"]}")+", nobody: "+act("filter_chain_name: x")+`}}}}`))
	for chain, want := range map[string]string{"named": "b a", "own": "d c", "nobody": ""} {
		if got := strings.Join(r.Get("/", "x-c", chain).Header.Values("x-m"), " "); got != want {
			t.Errorf("%s: %q, want %q", chain, got, want)
		}
	}
}
