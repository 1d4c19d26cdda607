package jsontometadata

import (
	j2mv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/json_to_metadata/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/stats"
)

// TypeURL is the type of the filter's configuration and of a route's.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.http.json_to_metadata.v3.JsonToMetadata"

// defaultNamespace is where values go when a rule names none.
const defaultNamespace = "envoy.filters.http.json_to_metadata"

// Maker makes the filter's factories.
func Maker() http.FilterMaker {
	return http.FilterMaker{
		New: http.NewFrom(func(p field.Path, m *j2mv3.JsonToMetadata, ctx *http.FactoryContext) (*factory, error) {
			s, err := compile(p, m)
			if err != nil {
				return nil, err
			}
			return &factory{
				settings: s,
				request:  stats.NewGroup[Stats](ctx.Stats, stats.Scope{Prefix: "json_to_metadata.rq."}), // not the manager's, as in Envoy
				response: stats.NewGroup[Stats](ctx.Stats, stats.Scope{Prefix: "json_to_metadata.resp."}),
			}, nil
		}),
		RouteConfig: http.RouteFrom(func(p field.Path, m *j2mv3.JsonToMetadata, _ *http.FactoryContext) (*settings, error) {
			return compile(p, m)
		}),
	}
}

func compile(p field.Path, m *j2mv3.JsonToMetadata) (s *settings, err error) {
	if err := field.Only(p, m, "request_rules", "response_rules"); err != nil {
		return nil, err
	}
	s = &settings{}
	if s.request, err = compileRules(p.Dot("request_rules"), m.GetRequestRules()); err != nil {
		return nil, err
	}
	s.response, err = compileRules(p.Dot("response_rules"), m.GetResponseRules())
	return s, err
}

func compileRules(p field.Path, m *j2mv3.JsonToMetadata_MatchRules) (*rules, error) {
	if m == nil {
		return nil, nil
	}
	if err := field.Only(p, m, "rules", "allow_content_types", "allow_empty_content_type", "allow_content_types_regex"); err != nil {
		return nil, err
	}
	out := &rules{types: m.GetAllowContentTypes(), noType: m.GetAllowEmptyContentType()}
	if len(out.types) == 0 {
		out.types = []string{"application/json"}
	}
	if x := m.GetAllowContentTypesRegex(); x != nil {
		re, err := matcher.NewRegex(p.Dot("allow_content_types_regex"), x, nil)
		if err != nil {
			return nil, err
		}
		out.typePattern = &re
	}
	if len(m.GetRules()) == 0 {
		return nil, p.Dot("rules").Errorf("at least one is needed")
	}
	for i, r := range m.GetRules() {
		c, err := compileRule(p.Dot("rules").Index(i), r)
		if err != nil {
			return nil, err
		}
		out.list = append(out.list, c)
	}
	return out, nil
}

func compileRule(p field.Path, m *j2mv3.JsonToMetadata_Rule) (r rule, err error) {
	if err := field.Only(p, m, "selectors", "on_present", "on_missing", "on_error"); err != nil {
		return r, err
	}
	if len(m.GetSelectors()) == 0 {
		return r, p.Dot("selectors").Errorf("at least one is needed")
	}
	for i, s := range m.GetSelectors() {
		if s.GetKey() == "" {
			return r, p.Dot("selectors").Index(i).Dot("key").Errorf("missing")
		}
		r.path = append(r.path, s.GetKey())
	}
	if m.GetOnPresent() == nil && m.GetOnMissing() == nil {
		return r, p.Errorf("needs on_present or on_missing")
	}
	if r.present, err = compileTarget(p.Dot("on_present"), m.GetOnPresent(), false); err != nil {
		return r, err
	}
	if r.missing, err = compileTarget(p.Dot("on_missing"), m.GetOnMissing(), true); err != nil {
		return r, err
	}
	r.failed, err = compileTarget(p.Dot("on_error"), m.GetOnError(), true)
	return r, err
}

func compileTarget(p field.Path, m *j2mv3.JsonToMetadata_KeyValuePair, needsValue bool) (*target, error) {
	if m == nil {
		return nil, nil
	}
	if err := field.Only(p, m, "metadata_namespace", "key", "value", "type", "preserve_existing_metadata_value"); err != nil {
		return nil, err
	}
	if m.GetKey() == "" {
		return nil, p.Dot("key").Errorf("missing")
	}
	if needsValue && m.GetValue() == nil {
		return nil, p.Dot("value").Errorf("missing")
	}
	t := &target{namespace: m.GetMetadataNamespace(), key: m.GetKey(), kind: kind(m.GetType()), preserve: m.GetPreserveExistingMetadataValue()}
	if t.namespace == "" {
		t.namespace = defaultNamespace
	}
	if v := m.GetValue(); v != nil {
		t.fixed, t.value = true, v.AsInterface()
	}
	return t, nil
}
