package filter_test

import (
	"testing"

	"github.com/weirproxy/weir/internal/filterrig"
	"github.com/weirproxy/weir/internal/httprig"
	"github.com/weirproxy/weir/proxy/filter/http/customresponse"
	"github.com/weirproxy/weir/proxy/filter/http/headermutation"
)

func policy(config string) string {
	return `{action: {name: p, typed_config: {"@type": type.googleapis.com/envoy.extensions.http.custom_response.local_response_policy.v3.LocalResponsePolicy, ` + config + `}}}`
}

// TestCustomResponse: what is replaced is gone, with its length, and filters
// before this one have no say in what takes its place.
func TestCustomResponse(t *testing.T) {
	r := filterrig.Start(t, httprig.Options{},
		filterrig.Route("/own", "c", customresponse.TypeURL, `custom_response_matcher: {`+byStatus+`"404": `+policy("status_code: 410")+"}}}}")+", {match: {prefix: /}, route: {cluster: u}}",
		filterrig.Filter("before", headermutation.TypeURL, `mutations: {response_mutations: [{append: {header: {key: x-before, value: "1"}}}]}`),
		filterrig.Filter("c", customresponse.TypeURL, `custom_response_matcher: {`+byStatus+`"404": `+policy(`body: {inline_string: gone}, body_format: {text_format_source: {inline_string: "%LOCAL_REPLY_BODY% %RESP(x-was)%"}}, response_headers_to_add: [{header: {key: x-new, value: "1"}}]`)+"}}}}"))
	if a := r.Get("/", "x-do", "status=404;header=x-was:this"); a.Status != 404 || a.Body != "gone this" || a.Header.Get("x-new") != "1" || a.Header.Get("x-before") != "" || a.Reached() {
		t.Errorf("%+v", a)
	}
	if a := r.Get("/own", "x-do", "status=404"); a.Status != 410 || a.Body != "" {
		t.Errorf("by the route: %+v", a)
	}
	if a := r.Get("/", "x-do", "status=500"); a.Status != 500 || !a.Reached() || a.Header.Get("x-before") != "1" {
		t.Errorf("another status: %+v", a)
	}
	r.WantStat("http.in.downstream_rq_active", "0")
	r.WantStat("cluster.u.upstream_rq_active", "0")
}

// TestCustomResponseRedirect: a response is replaced by that of another
// resource, and by itself where there is no route for that.
func TestCustomResponseRedirect(t *testing.T) {
	to := func(uri string) string {
		return `{action: {name: p, typed_config: {"@type": type.googleapis.com/envoy.extensions.http.custom_response.redirect_policy.v3.RedirectPolicy, uri: "` + uri +
			`", request_headers_to_add: [{header: {key: x-do, value: "status=200"}, append_action: OVERWRITE_IF_EXISTS_OR_ADD}], response_headers_to_add: [{header: {key: x-new, value: "1"}}]}}}`
	}
	r := filterrig.Start(t, httprig.Options{}, "{match: {prefix: /nowhere}, non_forwarding_action: {}}, {match: {safe_regex: {regex: '/(a|page)'}}, route: {cluster: u}}",
		filterrig.Filter("c", customresponse.TypeURL, `custom_response_matcher: {`+byStatus+`"404": `+to("https://h.example/page")+`, "500": `+to("http://h.example/none")+"}}}}"))
	if a := r.Do("POST", "/a", "body", "x-do", "status=404;body=9000"); a.Status != 404 || a.Header.Get("x-new") != "1" || a.Sent(":path") != "/page" && !a.Reached() {
		t.Errorf("%+v", a)
	}
	if a := r.Get("/a", "x-do", "status=500"); a.Status != 500 || a.Header.Get("x-new") != "" {
		t.Errorf("without a route: %+v", a)
	}
	r.WantStat("http.in.custom_response_redirect_no_route", "1")
	r.WantStat("http.in.downstream_rq_active", "0")
	r.WantStat("cluster.u.upstream_rq_active", "0")
}
