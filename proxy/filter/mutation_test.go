package filter_test

import (
	"strings"
	"testing"

	"github.com/weirproxy/weir/internal/filterrig"
	"github.com/weirproxy/weir/internal/httprig"
	"github.com/weirproxy/weir/proxy/filter/http/grpchttp1bridge"
	"github.com/weirproxy/weir/proxy/filter/http/headermutation"
	"github.com/weirproxy/weir/proxy/filter/http/headertometadata"
)

func TestHeaderMutation(t *testing.T) {
	r := filterrig.Start(t, httprig.Options{}, filterrig.Route("/", "m", headermutation.RouteTypeURL, "mutations: {request_mutations: [{append: {header: {key: x-a, value: route}}}]}"),
		filterrig.Filter("m", headermutation.TypeURL, `mutations: {
request_mutations: [{remove: x-gone}, {append: {header: {key: x-a, value: "%REQ(x-b)%"}}}, {remove_on_match: {key_matcher: {prefix: x-pre}}}],
query_parameter_mutations: [{remove: a}, {append: {record: {key: b, value: "%REQ(x-b)%"}, action: OVERWRITE_IF_EXISTS_OR_ADD}}],
response_mutations: [{append: {header: {key: x-r, value: "%RESPONSE_CODE%"}}}]}`))
	a := r.Get("/p?a=1&b=2&c", "x-gone", "1", "x-b", "B", "x-pre-1", "1")
	if a.Sent("x-gone")+a.Sent("x-pre-1") != "" || a.Sent("x-a") != "B,route" || a.Header.Get("x-r") != "200" || !strings.HasPrefix(a.Body, "GET /p?b=B&c= ") && !strings.HasPrefix(a.Body, "GET /p?b=B&c=\n") {
		t.Errorf("%+v", a)
	}
}

// TestHeaderToMetadata shows the metadata by a header that is made of it.
func TestHeaderToMetadata(t *testing.T) {
	r := filterrig.Start(t, httprig.Options{}, "",
		filterrig.Filter("h", headertometadata.TypeURL, `request_rules: [
{header: x-a, on_header_present: {metadata_namespace: ns, key: a}, on_header_missing: {metadata_namespace: ns, key: a, value: none}, remove: true},
{header: x-b, on_header_present: {metadata_namespace: ns, key: b, encode: BASE64}},
{cookie: c, on_header_present: {metadata_namespace: ns, key: c, regex_value_rewrite: {pattern: {regex: "(.).*"}, substitution: "\\1"}}}]`),
		filterrig.Filter("m", headermutation.TypeURL, `mutations: {request_mutations: [{append: {header: {key: x-all, value: "%DYNAMIC_METADATA(ns:a)%/%DYNAMIC_METADATA(ns:b)%/%DYNAMIC_METADATA(ns:c)%"}}}]}`))
	if a := r.Get("/", "x-a", "A", "x-b", "aGk=", "cookie", "c=xyz"); a.Sent("x-all") != "A/hi/x" || a.Sent("x-a") != "" {
		t.Errorf("%+v", a)
	}
	if a := r.Get("/"); a.Sent("x-all") != "none//" {
		t.Errorf("%+v", a)
	}
	filterrig.WantRefused(t, "response_rules[0].cookie", "", filterrig.Filter("h", headertometadata.TypeURL, `response_rules: [{cookie: c, on_header_present: {key: a}}]`))
}

func TestGRPCHTTP1Bridge(t *testing.T) {
	r := filterrig.Start(t, httprig.Options{}, "", filterrig.Filter("b", grpchttp1bridge.TypeURL, "upgrade_protobuf_to_grpc: true"))
	const message = "\x00\x00\x00\x00\x01x"
	a := r.Do("POST", "/S/M", message, "content-type", "application/grpc", "x-do", "mirror;header=content-type:application/grpc;trailer=grpc-status:5;trailer=grpc-message:gone")
	if a.Status != 503 || a.Header.Get("grpc-status") != "5" || a.Header.Get("grpc-message") != "gone" || a.Body != message {
		t.Errorf("%+v", a)
	}
	a = r.Do("POST", "/S/M", "xyz", "content-type", "application/x-protobuf", "x-do", "mirror;header=content-type:application/grpc;trailer=grpc-status:0")
	if a.Status != 200 || a.Header.Get("grpc-status") != "0" || a.Body != "xyz" {
		t.Errorf("%+v", a)
	}
}
