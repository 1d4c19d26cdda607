package rbac

import (
	"strings"

	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/rbac"
	"github.com/weirproxy/weir/proxy/stats"
)

// TypeURL and RouteTypeURL are the types of the filter's configuration and of
// a route's.
const (
	TypeURL      = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC"
	RouteTypeURL = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute"
)

// Maker makes the filter's factories.
func Maker() http.FilterMaker {
	return http.FilterMaker{Upstream: true, New: http.NewFrom(newFactory), RouteConfig: http.RouteFrom(newRoute), RouteTypeURL: RouteTypeURL}
}

func newFactory(p field.Path, m *rbacv3.RBAC, ctx *http.FactoryContext) (http.FilterFactory, error) {
	r, err := newRules(p, m, ctx)
	if err != nil {
		return nil, err
	}
	prefix := dotted(ctx.StatPrefix) + "rbac."
	rulesPrefix, shadowPrefix := prefix+dotted(m.GetRulesStatPrefix()), prefix+dotted(m.GetShadowRulesStatPrefix())
	return &factory{
		rules:            r,
		enforced:         stats.NewGroup[Enforced](ctx.Stats, stats.Scope{Prefix: rulesPrefix}),
		shadow:           stats.NewGroup[Shadow](ctx.Stats, stats.Scope{Prefix: shadowPrefix}),
		enforcedPolicies: newPolicies[EnforcedPolicy](ctx, rulesPrefix),
		shadowPolicies:   newPolicies[ShadowPolicy](ctx, shadowPrefix),
	}, nil
}

// dotted is a part of a prefix with a dot at its end, unless it is empty.
func dotted(s string) string {
	if s == "" || strings.HasSuffix(s, ".") {
		return s
	}
	return s + "."
}

func newRoute(p field.Path, m *rbacv3.RBACPerRoute, ctx *http.FactoryContext) (any, error) {
	if m.GetRbac() == nil {
		return &rules{}, nil // nothing is checked
	}
	return newRules(p.Dot("rbac"), m.GetRbac(), ctx)
}

func newRules(p field.Path, m *rbacv3.RBAC, ctx *http.FactoryContext) (*rules, error) {
	if err := field.Only(p, m, "rules", "rules_stat_prefix", "matcher", "shadow_rules", "shadow_matcher", "shadow_rules_stat_prefix", "track_per_rule_stats"); err != nil {
		return nil, err
	}
	o := rbac.Options{HTTP: true, Runtime: ctx.Runtime, Stats: ctx.Stats}
	r := &rules{
		perPolicy: m.GetTrackPerRuleStats(),
		policyKey: m.GetRulesStatPrefix() + "enforced_effective_policy_id", resultKey: m.GetRulesStatPrefix() + "enforced_engine_result",
		shadowPolicyKey: m.GetShadowRulesStatPrefix() + "shadow_effective_policy_id", shadowResultKey: m.GetShadowRulesStatPrefix() + "shadow_engine_result",
	}
	var err error
	if r.enforced, err = rbac.New(p.Dot("rules"), m.GetRules(), p.Dot("matcher"), m.GetMatcher(), o); err != nil {
		return nil, err
	}
	r.shadow, err = rbac.New(p.Dot("shadow_rules"), m.GetShadowRules(), p.Dot("shadow_matcher"), m.GetShadowMatcher(), o)
	return r, err
}
