package headermutation

import (
	"strings"

	rulesv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	mutationv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/route"
	"github.com/weirproxy/weir/xds/protos"
)

// TypeURL and RouteTypeURL are the types of the filter's configuration and of
// a route's.
const (
	TypeURL      = "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation"
	RouteTypeURL = "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute"
)

// Maker makes the filter's factories.
func Maker() http.FilterMaker {
	return http.FilterMaker{
		Upstream:     true,
		RouteTypeURL: RouteTypeURL,
		New: func(p field.Path, config *anypb.Any, _ *http.FactoryContext) (http.FilterFactory, error) {
			m := &mutationv3.HeaderMutation{}
			if err := protos.Unpack(p, config, m); err != nil {
				return nil, err
			}
			if err := field.Only(p, m, "mutations", "most_specific_header_mutations_wins"); err != nil {
				return nil, err
			}
			own, err := compile(p.Dot("mutations"), m.GetMutations())
			return &factory{own, m.GetMostSpecificHeaderMutationsWins()}, err
		},
		RouteConfig: func(p field.Path, config *anypb.Any, _ *http.FactoryContext) (any, error) {
			m, err := protos.UnpackAs[*mutationv3.HeaderMutationPerRoute](p, config)
			if err != nil {
				return nil, err
			}
			return compile(p.Dot("mutations"), m.GetMutations())
		},
	}
}

func compile(p field.Path, m *mutationv3.Mutations) (*mutations, error) {
	if err := field.Only(p, m, "request_mutations", "query_parameter_mutations", "response_mutations", "response_trailers_mutations", "request_trailers_mutations"); err != nil {
		return nil, err
	}
	out := &mutations{}
	rx := matcher.NewRegexes()
	for _, l := range []struct {
		name string
		from []*rulesv3.HeaderMutation
		to   *[]change
	}{
		{"request_mutations", m.GetRequestMutations(), &out.request},
		{"response_mutations", m.GetResponseMutations(), &out.response},
		{"response_trailers_mutations", m.GetResponseTrailersMutations(), &out.responseTrailers},
		{"request_trailers_mutations", m.GetRequestTrailersMutations(), &out.requestTrailers},
	} {
		for i, c := range l.from {
			x, err := compileChange(p.Dot(l.name).Index(i), c, rx)
			if err != nil {
				return nil, err
			}
			*l.to = append(*l.to, x)
		}
	}
	for i, c := range m.GetQueryParameterMutations() {
		x, err := compileQuery(p.Dot("query_parameter_mutations").Index(i), c)
		if err != nil {
			return nil, err
		}
		out.query = append(out.query, x)
	}
	return out, nil
}

func compileChange(p field.Path, c *rulesv3.HeaderMutation, rx *matcher.Regexes) (change, error) {
	switch a := c.GetAction().(type) {
	case *rulesv3.HeaderMutation_Remove:
		return change{remove: matcher.LowerASCII(a.Remove)}, nil
	case *rulesv3.HeaderMutation_Append:
		add, err := route.CompileHeaders(p.Dot("append"), []*corev3.HeaderValueOption{a.Append}, compileFormat)
		return change{add: add}, err
	case *rulesv3.HeaderMutation_RemoveOnMatch_:
		m, err := matcher.NewString(p.Dot("remove_on_match.key_matcher"), a.RemoveOnMatch.GetKeyMatcher(), rx)
		return change{removeMatching: &m}, err
	}
	return change{}, p.Errorf("a mutation needs an action")
}

func compileFormat(text string) (route.ValueFormatter, error) {
	return formatter.CompileHeader("", text)
}

func compileQuery(p field.Path, c *corev3.KeyValueMutation) (queryChange, error) {
	if c.GetRemove() != "" {
		return queryChange{remove: c.GetRemove()}, nil
	}
	if c.GetAppend() == nil {
		return queryChange{}, p.Errorf("a mutation needs append or remove")
	}
	if err := field.Only(p.Dot("append"), c.GetAppend(), "record", "action"); err != nil {
		return queryChange{}, err
	}
	r := c.GetAppend().GetRecord()
	out := queryChange{key: r.GetKey(), value: r.GetValue().GetStringValue()}
	if out.key == "" {
		return out, p.Dot("append.record.key").Errorf("is empty")
	}
	switch c.GetAppend().GetAction() {
	case corev3.KeyValueAppend_ADD_IF_ABSENT:
		out.action = addIfAbsent
	case corev3.KeyValueAppend_OVERWRITE_IF_EXISTS_OR_ADD:
		out.action = overwriteOrAdd
	case corev3.KeyValueAppend_OVERWRITE_IF_EXISTS:
		out.action = overwriteIfExists
	}
	if !strings.Contains(out.value, "%") {
		return out, nil
	}
	var err error
	out.format, err = formatter.CompileHeader(p.Dot("append.record.value"), out.value)
	return out, err
}
