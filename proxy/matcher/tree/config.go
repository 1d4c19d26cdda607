package tree

import (
	"os"

	xdscorev3 "github.com/cncf/xds/go/xds/core/v3"
	xdsmatcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/xds/protos"
)

// Options are what Compile needs of the tree's user.
type Options[A any] struct {
	// Action compiles the action with that name.
	Action  func(p field.Path, name string, config *anypb.Any) (A, error)
	Context Context
	// KeepMatching allows keep_matching.
	KeepMatching bool
	Runtime      fraction.Runtime
	// Stats count for matchers that have statistics; nil: not counted.
	Stats *stats.Store
}

// Compile compiles the Matcher at p.
func Compile[A any](p field.Path, m *xdsmatcherv3.Matcher, o Options[A]) (*Tree[A], error) {
	c := &compiler{context: o.Context, keepMatching: o.KeepMatching, runtime: o.Runtime, stats: o.Stats, regexes: matcher.NewRegexes(),
		action: func(p field.Path, name string, config *anypb.Any) (any, error) { return o.Action(p, name, config) }}
	root, err := c.matcher(p, m)
	if err != nil {
		return nil, err
	}
	return &Tree[A]{root}, nil
}

// FromEnvoy turns Envoy's own older copy of the Matcher message
// (envoy.config.common.matcher.v3.Matcher), which is the same on the wire,
// into the one that Compile takes.
func FromEnvoy(p field.Path, old proto.Message) (*xdsmatcherv3.Matcher, error) {
	b, err := proto.Marshal(old)
	if err != nil {
		return nil, p.Wrap(err)
	}
	m := &xdsmatcherv3.Matcher{}
	return m, p.Wrap(proto.Unmarshal(b, m))
}

type compiler struct {
	context      Context
	keepMatching bool
	runtime      fraction.Runtime
	stats        *stats.Store
	regexes      *matcher.Regexes
	action       func(p field.Path, name string, config *anypb.Any) (any, error)
}

func (c *compiler) matcher(p field.Path, m *xdsmatcherv3.Matcher) (node, error) {
	if err := field.Only(p, m, "matcher_list", "matcher_tree", "on_no_match"); err != nil {
		return nil, err
	}
	none, err := c.onMatch(p.Dot("on_no_match"), m.GetOnNoMatch())
	if err != nil {
		return nil, err
	}
	switch k := m.GetMatcherType().(type) {
	case *xdsmatcherv3.Matcher_MatcherList_:
		return c.list(p.Dot("matcher_list"), k.MatcherList, none)
	case *xdsmatcherv3.Matcher_MatcherTree_:
		return c.tree(p.Dot("matcher_tree"), k.MatcherTree, none)
	}
	// Nothing but a default is allowed.
	return &list{none: none}, nil
}

func (c *compiler) onMatch(p field.Path, o *xdsmatcherv3.Matcher_OnMatch) (*onMatch, error) {
	if o == nil {
		return nil, nil
	}
	if err := field.Only(p, o, "matcher", "action", "keep_matching"); err != nil {
		return nil, err
	}
	if o.GetKeepMatching() && !c.keepMatching {
		return nil, p.Dot("keep_matching").Errorf("is not supported here")
	}
	out := &onMatch{keep: o.GetKeepMatching()}
	var err error
	switch k := o.GetOnMatch().(type) {
	case *xdsmatcherv3.Matcher_OnMatch_Matcher:
		out.next, err = c.matcher(p.Dot("matcher"), k.Matcher)
	case *xdsmatcherv3.Matcher_OnMatch_Action:
		out.action, err = c.action(p.Dot("action").Dot("typed_config"), k.Action.GetName(), k.Action.GetTypedConfig())
	default:
		err = p.Errorf("needs matcher or action")
	}
	return out, err
}

func (c *compiler) list(p field.Path, m *xdsmatcherv3.Matcher_MatcherList, none *onMatch) (node, error) {
	l := &list{entries: make([]entry, len(m.GetMatchers())), none: none}
	for i, fm := range m.GetMatchers() {
		p := p.Dot("matchers").Index(i)
		var err error
		if l.entries[i].when, err = c.predicate(p.Dot("predicate"), fm.GetPredicate()); err != nil {
			return nil, err
		}
		if l.entries[i].then, err = c.onMatch(p.Dot("on_match"), fm.GetOnMatch()); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (c *compiler) predicate(p field.Path, m *xdsmatcherv3.Matcher_MatcherList_Predicate) (predicate, error) {
	switch k := m.GetMatchType().(type) {
	case *xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate_:
		return c.single(p.Dot("single_predicate"), k.SinglePredicate)
	case *xdsmatcherv3.Matcher_MatcherList_Predicate_OrMatcher:
		ps, err := c.predicates(p.Dot("or_matcher"), k.OrMatcher)
		return any1(ps), err
	case *xdsmatcherv3.Matcher_MatcherList_Predicate_AndMatcher:
		ps, err := c.predicates(p.Dot("and_matcher"), k.AndMatcher)
		return all(ps), err
	case *xdsmatcherv3.Matcher_MatcherList_Predicate_NotMatcher:
		inner, err := c.predicate(p.Dot("not_matcher"), k.NotMatcher)
		return not(inner), err
	}
	return nil, p.Errorf("needs one of single_predicate, or_matcher, and_matcher, not_matcher")
}

func (c *compiler) predicates(p field.Path, l *xdsmatcherv3.Matcher_MatcherList_Predicate_PredicateList) ([]predicate, error) {
	out := make([]predicate, len(l.GetPredicate()))
	for i, m := range l.GetPredicate() {
		var err error
		if out[i], err = c.predicate(p.Dot("predicate").Index(i), m); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (c *compiler) single(p field.Path, m *xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate) (predicate, error) {
	in, err := c.input(p.Dot("input"), m.GetInput())
	if err != nil {
		return nil, err
	}
	celInput := protos.TypeName(m.GetInput().GetTypedConfig()) == celInputType
	switch k := m.GetMatcher().(type) {
	case *xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate_ValueMatch:
		if celInput {
			return nil, p.Errorf("HttpAttributesCelMatchInput needs a CelMatcher")
		}
		s, err := c.string(p.Dot("value_match"), k.ValueMatch)
		return single(in, stringTest(s)), err
	case *xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate_CustomMatch:
		if celInput != (protos.TypeName(k.CustomMatch.GetTypedConfig()) == "xds.type.matcher.v3.CelMatcher") {
			return nil, p.Errorf("CelMatcher and HttpAttributesCelMatchInput go together only")
		}
		t, err := c.custom(p.Dot("custom_match"), k.CustomMatch)
		return single(in, t), err
	}
	return nil, p.Errorf("needs value_match or custom_match")
}

// string compiles xDS's copy of the StringMatcher, which is the same as
// Envoy's on the wire.
func (c *compiler) string(p field.Path, m *xdsmatcherv3.StringMatcher) (matcher.String, error) {
	b, err := proto.Marshal(m)
	if err != nil {
		return matcher.String{}, p.Wrap(err)
	}
	same := &matcherv3.StringMatcher{}
	if err := proto.Unmarshal(b, same); err != nil {
		return matcher.String{}, p.Wrap(err)
	}
	return matcher.NewString(p, same, c.regexes)
}

func (c *compiler) tree(p field.Path, m *xdsmatcherv3.Matcher_MatcherTree, none *onMatch) (node, error) {
	in, err := c.input(p.Dot("input"), m.GetInput())
	if err != nil {
		return nil, err
	}
	if protos.TypeName(m.GetInput().GetTypedConfig()) == celInputType {
		return nil, p.Dot("input").Errorf("HttpAttributesCelMatchInput needs a CelMatcher")
	}
	switch k := m.GetTreeType().(type) {
	case *xdsmatcherv3.Matcher_MatcherTree_ExactMatchMap:
		out := &exactMap{in: in, to: map[string]*onMatch{}, none: none}
		for key, o := range k.ExactMatchMap.GetMap() {
			if out.to[key], err = c.onMatch(p.Dot("exact_match_map.map").Key(key), o); err != nil {
				return nil, err
			}
		}
		return out, nil
	case *xdsmatcherv3.Matcher_MatcherTree_PrefixMatchMap:
		out := &prefixMap{in: in, none: none}
		for key, o := range k.PrefixMatchMap.GetMap() {
			then, err := c.onMatch(p.Dot("prefix_match_map.map").Key(key), o)
			if err != nil {
				return nil, err
			}
			out.prefixes = append(out.prefixes, prefixEntry{key, then})
		}
		out.sort()
		return out, nil
	case *xdsmatcherv3.Matcher_MatcherTree_CustomMatch:
		return c.customTree(p.Dot("custom_match"), k.CustomMatch, in, none)
	}
	return nil, p.Errorf("needs one of exact_match_map, prefix_match_map, custom_match")
}

// extension is the configuration of an extension at p, and where that is.
func extension(p field.Path, c *xdscorev3.TypedExtensionConfig) (field.Path, *anypb.Any) {
	return p.Dot("typed_config"), c.GetTypedConfig()
}

func environment(name string) input {
	s, ok := os.LookupEnv(name)
	if !ok {
		return func(*Data) value { return missing }
	}
	return func(*Data) value { return text(s) }
}
