package route

import (
	mutationrulesv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
)

// CompileRedirect compiles a redirect that is not part of a route.
func CompileRedirect(p field.Path, c *routev3.RedirectAction) (*Redirect, error) {
	return (&compiler{regexes: matcher.NewRegexes()}).redirect(p, c)
}

// HeaderChanges are header lines to add that are not part of a route.
type HeaderChanges struct{ list *mutationList }

// CompileHeaders compiles header lines to add.
func CompileHeaders(p field.Path, add []*corev3.HeaderValueOption, format func(string) (ValueFormatter, error)) (*HeaderChanges, error) {
	if len(add) == 0 {
		return nil, nil
	}
	k := &compiler{Options: Options{CompileFormat: format}}
	c := &HeaderChanges{list: &mutationList{}}
	for i, a := range add {
		m, err := k.mutation(p.Index(i), a)
		if err != nil {
			return nil, err
		}
		c.list.add = append(c.list.add, m)
	}
	return c, nil
}

// Apply makes the changes.
func (c *HeaderChanges) Apply(h *http.HeaderMap, ctx *FormatContext) { c.list.apply(h, ctx) }

// Mutations are header changes that are not part of a route, in their order.
type Mutations struct{ steps []mutationStep }

// mutationStep is one change: what it removes, else what it adds.
type mutationStep struct {
	remove string          // a name in lower case, or
	match  *matcher.String // the names
	add    *mutationList
}

// CompileMutations compiles a list of HeaderMutation.
func CompileMutations(p field.Path, ms []*mutationrulesv3.HeaderMutation, format func(string) (ValueFormatter, error)) (*Mutations, error) {
	k := &compiler{Options: Options{CompileFormat: format}, regexes: matcher.NewRegexes()}
	out := &Mutations{}
	for i, m := range ms {
		p := p.Index(i)
		var step mutationStep
		switch a := m.GetAction().(type) {
		case *mutationrulesv3.HeaderMutation_Remove:
			step.remove = matcher.LowerASCII(a.Remove)
		case *mutationrulesv3.HeaderMutation_Append:
			add, err := k.mutation(p.Dot("append"), a.Append)
			if err != nil {
				return nil, err
			}
			step.add = &mutationList{add: []mutation{add}}
		case *mutationrulesv3.HeaderMutation_RemoveOnMatch_:
			names, err := matcher.NewString(p.Dot("remove_on_match.key_matcher"), a.RemoveOnMatch.GetKeyMatcher(), k.regexes)
			if err != nil {
				return nil, err
			}
			step.match = &names
		default:
			return nil, p.Errorf("a header mutation needs an action: remove, append or remove_on_match")
		}
		out.steps = append(out.steps, step)
	}
	return out, nil
}

// Apply makes the changes.
func (m *Mutations) Apply(h *http.HeaderMap, ctx *FormatContext) {
	for i := range m.steps {
		switch s := &m.steps[i]; {
		case s.add != nil:
			s.add.apply(h, ctx)
		case s.match != nil:
			h.RemoveIf(func(l *http.Header) bool { return s.match.Match(l.Name) })
		default:
			h.RemoveName(s.remove)
		}
	}
}
