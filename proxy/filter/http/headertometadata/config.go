package headertometadata

import (
	h2mv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_to_metadata/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/xds/protos"
)

// TypeURL is the type of the filter's configuration and of a route's.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.http.header_to_metadata.v3.Config"

// defaultNamespace is where values go when a rule names none.
const defaultNamespace = "envoy.filters.http.header_to_metadata"

// Maker makes the filter's factories.
func Maker() http.FilterMaker {
	return http.FilterMaker{
		New: func(p field.Path, config *anypb.Any, _ *http.FactoryContext) (http.FilterFactory, error) {
			s, err := compile(p, config)
			return factory{s}, err
		},
		RouteConfig: func(p field.Path, config *anypb.Any, _ *http.FactoryContext) (any, error) {
			return compile(p, config)
		},
	}
}

func compile(p field.Path, config *anypb.Any) (*settings, error) {
	m := &h2mv3.Config{}
	if err := protos.Unpack(p, config, m); err != nil {
		return nil, err
	}
	if err := field.Only(p, m, "request_rules", "response_rules"); err != nil {
		return nil, err
	}
	s := &settings{}
	var err error
	if s.request, err = compileRules(p.Dot("request_rules"), m.GetRequestRules(), true); err != nil {
		return nil, err
	}
	s.response, err = compileRules(p.Dot("response_rules"), m.GetResponseRules(), false)
	return s, err
}

func compileRules(p field.Path, ms []*h2mv3.Config_Rule, cookies bool) ([]rule, error) {
	rx := matcher.NewRegexes()
	var out []rule
	for i, m := range ms {
		p := p.Index(i)
		r := rule{header: matcher.LowerASCII(m.GetHeader()), cookie: m.GetCookie(), remove: m.GetRemove()}
		switch {
		case (r.header == "") == (r.cookie == ""):
			return nil, p.Errorf("needs one of header and cookie")
		case r.cookie != "" && !cookies:
			return nil, p.Dot("cookie").Errorf("responses have none")
		case r.cookie != "" && r.remove:
			return nil, p.Dot("remove").Errorf("a cookie cannot be removed")
		case m.GetOnHeaderPresent() == nil && m.GetOnHeaderMissing() == nil:
			return nil, p.Errorf("needs on_header_present or on_header_missing")
		case m.GetOnHeaderMissing() != nil && m.GetOnHeaderMissing().GetValue() == "":
			return nil, p.Dot("on_header_missing.value").Errorf("is empty")
		}
		var err error
		if r.present, err = compileTarget(p.Dot("on_header_present"), m.GetOnHeaderPresent(), rx); err != nil {
			return nil, err
		}
		if r.missing, err = compileTarget(p.Dot("on_header_missing"), m.GetOnHeaderMissing(), rx); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

func compileTarget(p field.Path, m *h2mv3.Config_KeyValuePair, rx *matcher.Regexes) (*target, error) {
	if m == nil {
		return nil, nil
	}
	t := &target{namespace: m.GetMetadataNamespace(), key: m.GetKey(), value: m.GetValue(), base64: m.GetEncode() == h2mv3.Config_BASE64}
	if t.namespace == "" {
		t.namespace = defaultNamespace
	}
	switch m.GetType() {
	case h2mv3.Config_NUMBER:
		t.kind = numberValue
	case h2mv3.Config_PROTOBUF_VALUE:
		t.kind = protobufValue
	}
	if w := m.GetRegexValueRewrite(); w != nil {
		if t.value != "" {
			return nil, p.Errorf("value and regex_value_rewrite exclude each other")
		}
		var err error
		if t.rewrite, err = matcher.NewSubstitution(p.Dot("regex_value_rewrite"), w, rx); err != nil {
			return nil, err
		}
	}
	return t, nil
}
