package tree

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	xdsmatcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/xds/decode"
)

func compile(text string, context Context) (*Tree[string], error) {
	m := &xdsmatcherv3.Matcher{}
	if err := decode.Unmarshal([]byte(text), decode.YAML, m); err != nil {
		return nil, err
	}
	return Compile("m", m, Options[string]{Context: context, KeepMatching: true, Action: func(p field.Path, name string, a *anypb.Any) (string, error) {
		v := &wrapperspb.StringValue{}
		return name, p.Wrap(a.UnmarshalTo(v))
	}})
}

// to is an action; in and header are inputs.
func to(name string) string {
	return fmt.Sprintf(`{action: {name: %s, typed_config: {"@type": type.googleapis.com/google.protobuf.StringValue}}}`, name)
}

func in(kind string) string {
	return fmt.Sprintf(`{name: i, typed_config: {"@type": type.googleapis.com/envoy.extensions.matching.common_inputs.%s}}`, kind)
}

func header(kind, name string) string {
	return fmt.Sprintf(`{name: i, typed_config: {"@type": type.googleapis.com/envoy.type.matcher.v3.Http%sMatchInput, header_name: %q}}`, kind, name)
}

func equals(input, s string) string {
	return fmt.Sprintf(`{single_predicate: {input: %s, value_match: {exact: %q}}}`, input, s)
}

func custom(input, kind, config string) string {
	return fmt.Sprintf(`{single_predicate: {input: %s, custom_match: {name: c, typed_config: {"@type": type.googleapis.com/%s, %s}}}}`, input, kind, config)
}

func when(predicate, then string) string {
	return fmt.Sprintf("{predicate: %s, on_match: %s}", predicate, then)
}

func listOf(entries ...string) string {
	return "{matcher_list: {matchers: [" + strings.Join(entries, ", ") + "]}, on_no_match: " + to("none") + "}"
}

func treeOf(input, kind, entries string) string {
	return fmt.Sprintf("{matcher_tree: {input: %s, %s: %s}, on_no_match: %s}", input, kind, entries, to("none"))
}

type certificate struct{ network.TLSInfo }

func (certificate) URISANsPeer() []string { return []string{"spiffe://a/b"} }
func (certificate) DNSSANsPeer() []string { return []string{"a.example", "b.example"} }
func (certificate) SubjectPeer() string   { return "CN=a" }

func request() *Data {
	h := &http.HeaderMap{}
	h.AddName(":path", "/p?q=1&r=2")
	h.AddName("x-a", "1")
	h.AddName("x-a", "2")
	return &Data{
		Local: network.IPAddress(netip.MustParseAddrPort("10.0.0.1:80")), Remote: network.IPAddress(netip.MustParseAddrPort("192.168.7.8:1234")),
		ServerName: "www.a.example", ALPN: []string{"h2", "http/1.1"}, TransportProtocol: "tls", TLS: certificate{},
		Metadata:    map[string]map[string]any{"ns": {"k": map[string]any{"deep": "v"}}},
		FilterState: map[string]any{"s": "state"}, RequestHeaders: h,
	}
}

const (
	ipMatcher   = "envoy.extensions.matching.input_matchers.ip.v3.Ip"
	xdsIP       = "xds.type.matcher.v3.IPMatcher"
	serverNames = "xds.type.matcher.v3.ServerNameMatcher"
	metadata    = "envoy.extensions.matching.input_matchers.metadata.v3.Metadata"
	hashing     = "envoy.extensions.matching.input_matchers.consistent_hashing.v3.ConsistentHashing"
)

func TestMatch(t *testing.T) {
	a := header("RequestHeader", "X-A")
	yes, no := equals(a, "1,2"), equals(a, "1")
	later := equals(header("ResponseHeader", "x"), "y")
	sourceIP := in("network.v3.SourceIPInput")
	sni := in("network.v3.ServerNameInput")
	byIP := func(ranges string) string {
		return treeOf(sourceIP, "custom_match", `{name: c, typed_config: {"@type": type.googleapis.com/`+xdsIP+`, range_matchers: [`+ranges+`]}}`)
	}
	byName := func(domains string) string {
		return treeOf(sni, "custom_match", `{name: c, typed_config: {"@type": type.googleapis.com/`+serverNames+`, domain_matchers: [`+domains+`]}}`)
	}
	meta := func(path string) string {
		return `{name: i, typed_config: {"@type": type.googleapis.com/envoy.extensions.matching.common_inputs.network.v3.DynamicMetadataInput, filter: ns, path: ` + path + `}}`
	}
	for name, c := range map[string]struct{ config, want string }{
		"first that holds":       {listOf(when(no, to("a")), when(yes, to("b")), when(yes, to("c"))), "b"},
		"none":                   {listOf(when(no, to("a"))), "none"},
		"or":                     {listOf(when("{or_matcher: {predicate: ["+no+", "+yes+"]}}", to("a"))), "a"},
		"and":                    {listOf(when("{and_matcher: {predicate: ["+no+", "+yes+"]}}", to("a"))), "none"},
		"not":                    {listOf(when("{not_matcher: "+no+"}", to("a"))), "a"},
		"keep matching":          {listOf(when(yes, "{keep_matching: true, "+to("a")[1:]), when(yes, to("b"))), "b"},
		"nested":                 {listOf(when(yes, "{matcher: "+listOf(when(yes, to("in")))+"}")), "in"},
		"nested that ends":       {listOf(when(yes, "{matcher: {matcher_list: {matchers: ["+when(no, to("in"))+"]}}}"), when(yes, to("after"))), "after"},
		"not there yet":          {listOf(when(later, to("a")), when(yes, to("b"))), "not yet"},
		"or need not wait":       {listOf(when("{or_matcher: {predicate: ["+later+", "+yes+"]}}", to("a"))), "a"},
		"and need not wait":      {listOf(when("{and_matcher: {predicate: ["+no+", "+later+"]}}", to("a"))), "none"},
		"missing header":         {listOf(when(equals(header("RequestHeader", "x-b"), ""), to("a"))), "none"},
		"query":                  {listOf(when(equals(`{name: i, typed_config: {"@type": type.googleapis.com/envoy.type.matcher.v3.HttpRequestQueryParamMatchInput, query_param: r}}`, "2"), to("a"))), "a"},
		"destination port":       {listOf(when(equals(in("network.v3.DestinationPortInput"), "80"), to("a"))), "a"},
		"source ip text":         {listOf(when(equals(sourceIP, "192.168.7.8"), to("a"))), "a"},
		"source type":            {listOf(when(equals(in("network.v3.SourceTypeInput"), "local"), to("a"))), "none"},
		"uri san":                {listOf(when(equals(in("ssl.v3.UriSanInput"), "spiffe://a/b"), to("a"))), "a"},
		"dns sans":               {listOf(when(equals(in("ssl.v3.DnsSanInput"), "a.example,b.example"), to("a"))), "a"},
		"subject":                {listOf(when(equals(in("ssl.v3.SubjectInput"), "CN=a"), to("a"))), "a"},
		"filter state":           {listOf(when(equals(`{name: i, typed_config: {"@type": type.googleapis.com/envoy.extensions.matching.common_inputs.network.v3.FilterStateInput, key: s}}`, "state"), to("a"))), "a"},
		"ip ranges":              {listOf(when(custom(sourceIP, ipMatcher, "stat_prefix: x, cidr_ranges: [{address_prefix: 192.168.0.0, prefix_len: 16}]"), to("a"))), "a"},
		"metadata":               {listOf(when(custom(meta("[{key: k}, {key: deep}]"), metadata, "value: {string_match: {exact: v}}"), to("a"))), "a"},
		"metadata that is not":   {listOf(when(custom(meta("[{key: z}]"), metadata, "value: {string_match: {exact: v}}, invert: true"), to("a"))), "a"},
		"hashed":                 {listOf(when(custom(a, hashing, "threshold: 0, modulo: 10"), to("a"))), "a"},
		"exact map":              {treeOf(a, "exact_match_map", `{map: {"1,2": `+to("a")+`, "1": `+to("b")+`}}`), "a"},
		"exact map misses":       {treeOf(a, "exact_match_map", `{map: {"1": `+to("b")+`}}`), "none"},
		"longest prefix":         {treeOf(a, "prefix_match_map", `{map: {"1": `+to("b")+`, "1,": `+to("a")+`, "2": `+to("c")+`}}`), "a"},
		"narrowest range":        {byIP(`{ranges: [{address_prefix: 192.168.0.0, prefix_len: 16}], on_match: ` + to("wide") + `}, {ranges: [{address_prefix: 192.168.7.0, prefix_len: 24}], on_match: ` + to("narrow") + `}`), "narrow"},
		"exclusive range":        {byIP(`{exclusive: true, ranges: [{address_prefix: 192.168.0.0, prefix_len: 16}], on_match: ` + to("wide") + `}, {ranges: [{address_prefix: 192.168.7.0, prefix_len: 24}], on_match: {matcher: {matcher_list: {matchers: [` + when(no, to("in")) + `]}}}}`), "none"},
		"range with a way out":   {byIP(`{ranges: [{address_prefix: 192.168.0.0, prefix_len: 16}], on_match: ` + to("wide") + `}, {ranges: [{address_prefix: 192.168.7.0, prefix_len: 24}], on_match: {matcher: {matcher_list: {matchers: [` + when(no, to("in")) + `]}}}}`), "wide"},
		"server name":            {byName(`{domains: ["*.example"], on_match: ` + to("wide") + `}, {domains: ["*.a.example", x.example], on_match: ` + to("narrow") + `}`), "narrow"},
		"any server name":        {byName(`{domains: ["*"], on_match: ` + to("any") + `}`), "any"},
		"server name, no domain": {byName(`{domains: ["a.example", "*.www.a.example"], on_match: ` + to("x") + `}`), "none"},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := compile(c.config, Streams)
			if err != nil {
				t.Fatal(err)
			}
			d := request()
			got, r := m.Match(d)
			if r == NotYet {
				got = "not yet"
			}
			if got != c.want {
				t.Errorf("got %q (%v), want %q", got, r, c.want)
			}
		})
	}
}

func TestResponseInputs(t *testing.T) {
	d := request()
	d.ResponseHeaders = &http.HeaderMap{}
	d.ResponseHeaders.AddName(":status", "404")
	const t0 = `{name: i, typed_config: {"@type": type.googleapis.com/envoy.type.matcher.v3.HttpResponse`
	for kind, want := range map[string]string{"StatusCodeMatchInput": "404", "StatusCodeClassMatchInput": "4xx", "LocalReplyMatchInput": "true"} {
		m, err := compile(listOf(when(equals(t0+kind+"}}", want), to("a"))), Streams)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := m.Match(d); got != "a" {
			t.Errorf("%s: %q", kind, got)
		}
	}
	d.Details = "via_upstream"
	m, err := compile(listOf(when(equals(t0+"LocalReplyMatchInput}}", "false"), to("a"))), Streams)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := m.Match(d); got != "a" {
		t.Errorf("an upstream's response is taken for a local reply")
	}
}

func TestSocketInputs(t *testing.T) {
	for input, want := range map[string]string{"ApplicationProtocolInput": "'h2','http/1.1'", "TransportProtocolInput": "tls"} {
		m, err := compile(listOf(when(equals(in("network.v3."+input), want), to("a"))), Sockets)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := m.Match(request()); got != "a" {
			t.Errorf("%s: %q", input, got)
		}
	}
}

const celExpression = `{single_predicate: {input: {name: i, typed_config: {"@type": type.googleapis.com/xds.type.matcher.v3.HttpAttributesCelMatchInput}}, custom_match: {name: c, typed_config: {"@type": type.googleapis.com/xds.type.matcher.v3.CelMatcher, expr_match: {%s}}}}}`

func TestCEL(t *testing.T) {
	const path = `{call_expr: {function: _==_, args: [{select_expr: {operand: {ident_expr: {name: request}}, field: path}}, {const_expr: {string_value: "/p?q=1&r=2"}}]}}`
	for expression, want := range map[string]string{
		`parsed_expr: {expr: ` + path + `}`:                "a",
		`cel_expr_parsed: {expr: ` + path + `}`:            "a",
		`checked_expr: {expr: ` + path + `}`:               "a",
		`cel_expr_checked: {expr: ` + path + `}`:           "a",
		`cel_expr_parsed: {expr: {ident_expr: {name: x}}}`: "none",
	} {
		m, err := compile(listOf(when(fmt.Sprintf(celExpression, expression), to("a"))), Streams)
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		if got, _ := m.Match(request()); got != want {
			t.Errorf("%s: %q, want %q", expression, got, want)
		}
	}
	for expression, want := range map[string]string{`cel_expr_string: "true"`: "cel_expr_string", `parsed_expr: {expr: {call_expr: {function: nope}}}`: "nope", ``: "needs"} {
		if _, err := compile(listOf(when(fmt.Sprintf(celExpression, expression), to("a"))), Streams); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", expression, err)
		}
	}
}

func TestRefused(t *testing.T) {
	a := header("RequestHeader", "x-a")
	for config, want := range map[string]string{
		listOf(when(equals(in("network.v3.NetworkNamespaceInput"), "x"), to("a"))):                                           "m.matcher_list.matchers[0].predicate.single_predicate.input.typed_config",
		listOf(when(custom(a, "envoy.extensions.matching.input_matchers.dynamic_modules.v3.Nope", ""), to("a"))):             "",
		listOf(when(custom(a, hashing, "threshold: 1"), to("a"))):                                                            "modulo",
		listOf(when(custom(a, ipMatcher, "stat_prefix: x, cidr_ranges: [{address_prefix: a}]"), to("a"))):                    "cidr_ranges[0].address_prefix",
		listOf(when(`{single_predicate: {input: `+a+`, value_match: {safe_regex: {google_re2: {}, regex: "("}}}}`, to("a"))): "safe_regex.regex",
	} {
		_, err := compile(config, Streams)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", config, err)
		}
	}
	if _, err := compile(listOf(when(equals(a, "1"), to("a"))), Sockets); err == nil || !strings.Contains(err.Error(), "can't be read here") {
		t.Errorf("an HTTP input for connections: %v", err)
	}
}

func TestMatchAllocatesNothing(t *testing.T) {
	m, err := compile(listOf(
		when(equals(header("RequestHeader", ":path"), "/"), to("a")),
		when(equals(in("network.v3.SourceIPInput"), "10.0.0.9"), to("b")),
		when(equals(in("ssl.v3.UriSanInput"), "spiffe://a/b"), to("c"))), Streams)
	if err != nil {
		t.Fatal(err)
	}
	d := request()
	d.Metadata = nil
	if n := testing.AllocsPerRun(100, func() {
		if got, _ := m.Match(d); got != "c" {
			t.Fatal(got)
		}
	}); n > 1 { // the certificate's list of names
		t.Errorf("%v allocations", n)
	}
}
