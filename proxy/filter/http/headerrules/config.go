package headerrules

import (
	mutationrulesv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/matcher"
)

// Compile compiles HeaderMutationRules; nil rules are nil.
func Compile(p field.Path, c *mutationrulesv3.HeaderMutationRules, rx *matcher.Regexes) (*Rules, error) {
	if c == nil {
		return nil, nil
	}
	r := &Rules{
		routing: c.GetAllowAllRouting().GetValue(), envoy: c.GetAllowEnvoy().GetValue(), noSystem: c.GetDisallowSystem().GetValue(),
		none: c.GetDisallowAll().GetValue(), isError: c.GetDisallowIsError().GetValue(),
	}
	var err error
	if r.allow, err = regex(p.Dot("allow_expression"), c.GetAllowExpression(), rx); err != nil {
		return nil, err
	}
	r.disallow, err = regex(p.Dot("disallow_expression"), c.GetDisallowExpression(), rx)
	return r, err
}

func regex(p field.Path, c *matcherv3.RegexMatcher, rx *matcher.Regexes) (*matcher.String, error) {
	if c == nil {
		return nil, nil
	}
	m, err := matcher.NewRegex(p, c, rx)
	return &m, err
}
