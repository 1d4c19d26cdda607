package rbac

import (
	"strings"

	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/rbac/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/rbac"
	"github.com/weirproxy/weir/proxy/stats"
)

// TypeURL is the type of the filter's configuration.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC"

// Factory makes the filter's factories.
func Factory() listener.NetworkFactory { return listener.NetworkFrom(compile) }

func compile(p field.Path, m *rbacv3.RBAC, ctx *listener.FactoryContext) (network.FilterFactory, error) {
	if err := field.Only(p, m, "rules", "matcher", "shadow_rules", "shadow_matcher", "shadow_rules_stat_prefix", "stat_prefix", "enforcement_type", "delay_deny"); err != nil {
		return nil, err
	}
	s := &settings{
		every:           m.GetEnforcementType() == rbacv3.RBAC_CONTINUOUS,
		delay:           m.GetDelayDeny().AsDuration(),
		shadowPolicyKey: m.GetShadowRulesStatPrefix() + "shadow_effective_policy_id",
		shadowResultKey: m.GetShadowRulesStatPrefix() + "shadow_engine_result",
	}
	o := rbac.Options{Runtime: ctx.Runtime, Stats: ctx.Stats}
	var err error
	if s.enforced, err = rbac.New(p.Dot("rules"), m.GetRules(), p.Dot("matcher"), m.GetMatcher(), o); err != nil {
		return nil, err
	}
	if s.shadow, err = rbac.New(p.Dot("shadow_rules"), m.GetShadowRules(), p.Dot("shadow_matcher"), m.GetShadowMatcher(), o); err != nil {
		return nil, err
	}
	prefix := dotted(m.GetStatPrefix()) + "rbac."
	s.stats = stats.NewGroup[Stats](ctx.Stats, stats.Scope{Prefix: prefix})
	s.shadowStats = stats.NewGroup[Shadow](ctx.Stats, stats.Scope{Prefix: prefix + dotted(m.GetShadowRulesStatPrefix())})
	ctx.OnClose(func() { s.stats.Close(); s.shadowStats.Close() })
	return s.newFilter, nil
}

// dotted is a part of a prefix with a dot at its end, unless it is empty.
func dotted(s string) string {
	if s == "" || strings.HasSuffix(s, ".") {
		return s
	}
	return s + "."
}
