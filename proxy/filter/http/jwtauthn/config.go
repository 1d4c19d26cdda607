package jwtauthn

import (
	"maps"
	"slices"
	"strings"

	jwtauthnv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/route"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream"
	"github.com/weirproxy/weir/proxy/upstream/async"
)

// TypeURL and RouteTypeURL are the configurations' types.
const (
	TypeURL      = "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication"
	RouteTypeURL = "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig"
)

// Maker makes filter factories. tables gives each worker's cluster table.
func Maker(tables func(worker int) *upstream.Table) http.FilterMaker {
	return http.FilterMaker{RouteConfig: http.RouteFrom(routeConfig), RouteTypeURL: RouteTypeURL, New: http.NewFrom(func(p field.Path, m *jwtauthnv3.JwtAuthentication, ctx *http.FactoryContext) (*factory, error) {
		f, err := compile(p, m, ctx)
		if err != nil {
			return nil, err
		}
		f.client = async.Clients(tables)
		if ctx.LocalAddress.IsValid() {
			f.forwardedFor = ctx.LocalAddress.String()
		}
		f.fetchAhead(ctx)
		return f, nil
	})}
}

// compiler finds providers and requirements by name.
type compiler struct {
	f         *factory
	providers map[string]*provider
	named     map[string]requirement
}

func compile(p field.Path, m *jwtauthnv3.JwtAuthentication, ctx *http.FactoryContext) (*factory, error) {
	f := &factory{bypassCors: m.BypassCorsPreflight, strip: m.StripFailureResponse, named: map[string]requirement{}, workers: make([]*worker, len(ctx.Loops))}
	k := &compiler{f, map[string]*provider{}, f.named}
	for _, name := range slices.Sorted(maps.Keys(m.Providers)) {
		x, err := compileProvider(p.Dot("providers").Key(name), name, m.Providers[name])
		if err != nil {
			return nil, err
		}
		f.providers, k.providers[name] = append(f.providers, x), x
	}
	names := slices.Sorted(maps.Keys(m.RequirementMap))
	for _, name := range names {
		r, err := k.requirement(p.Dot("requirement_map").Key(name), m.RequirementMap[name], nil)
		if err != nil {
			return nil, err
		}
		f.named[name] = r
	}
	f.names = strings.Join(names, ",")
	if err := k.rules(p.Dot("rules"), m.Rules, ctx); err != nil {
		return nil, err
	}
	if s := m.FilterStateRules; s != nil {
		f.stateName, f.byState = s.Name, map[string]requirement{}
		for value, c := range s.Requires {
			r, err := k.requirement(p.Dot("filter_state_rules").Dot("requires").Key(value), c, nil)
			if err != nil {
				return nil, err
			}
			f.byState[value] = r
		}
	}
	prefix := ""
	if m.StatPrefix != "" {
		prefix = m.StatPrefix + "."
	}
	f.group = stats.NewGroup[Stats](ctx.Stats, stats.Scope{Prefix: ctx.StatPrefix + "jwt_authn." + prefix})
	return f, nil
}

// fetchAhead has each worker fetch the keys of providers with async_fetch. The
// listener waits for the first fetch, whatever comes of it, unless fast_listener
// is set.
func (f *factory) fetchAhead(ctx *http.FactoryContext) {
	if !slices.ContainsFunc(f.providers, func(p *provider) bool { return p.remote != nil && p.remote.ahead }) {
		return
	}
	for w, loop := range ctx.Loops {
		if w == 0 {
			continue // main
		}
		waits := map[*provider]func(){}
		for _, p := range f.providers {
			if p.remote != nil && p.remote.hold && ctx.Scope != nil {
				waits[p] = ctx.Scope.WaitFor("keys of JWT provider " + p.name)
			}
		}
		loop.Post(func() {
			caches := f.open(w).keys
			for p, done := range waits {
				caches[p].whenTried(func() { ctx.Loops[0].Post(done) })
			}
		})
	}
}

func (k *compiler) rules(p field.Path, rules []*jwtauthnv3.RequirementRule, ctx *http.FactoryContext) error {
	for i, c := range rules {
		rp := p.Index(i)
		match, err := route.CompileMatcher(rp.Dot("match"), c.Match, route.Runtime(ctx.Runtime))
		if err != nil {
			return err
		}
		x := rule{match: match}
		switch t := c.RequirementType.(type) {
		case *jwtauthnv3.RequirementRule_Requires:
			if x.requires, err = k.requirement(rp.Dot("requires"), t.Requires, nil); err != nil {
				return err
			}
		case *jwtauthnv3.RequirementRule_RequirementName:
			r, found := k.named[t.RequirementName]
			if !found {
				return rp.Dot("requirement_name").Errorf("Wrong requirement_name: %s. It should be one of [%s]", t.RequirementName, k.f.names)
			}
			x.requires = r
		}
		k.f.rules = append(k.f.rules, x)
	}
	return nil
}

// requirement compiles a requirement. siblings are the providers of the
// requires_any that it stands in, which allow_missing looks for.
func (k *compiler) requirement(p field.Path, c *jwtauthnv3.JwtRequirement, siblings []*provider) (requirement, error) {
	all := siblings
	if len(all) == 0 {
		all = k.f.providers
	}
	switch t := c.GetRequiresType().(type) {
	case nil:
		return nil, nil
	case *jwtauthnv3.JwtRequirement_ProviderName:
		x, err := k.provider(p.Dot("provider_name"), t.ProviderName)
		if err != nil {
			return nil, err
		}
		return requireTokens([]*provider{x}, tokensOf{}), nil
	case *jwtauthnv3.JwtRequirement_ProviderAndAudiences:
		x, err := k.provider(p.Dot("provider_and_audiences").Dot("provider_name"), t.ProviderAndAudiences.GetProviderName())
		if err != nil {
			return nil, err
		}
		return requireTokens([]*provider{x}, tokensOf{audiences: bareAudiences(t.ProviderAndAudiences.GetAudiences())}), nil
	case *jwtauthnv3.JwtRequirement_RequiresAny:
		list, err := k.list(p.Dot("requires_any").Dot("requirements"), t.RequiresAny.GetRequirements(), true)
		return anyOf(list), err
	case *jwtauthnv3.JwtRequirement_RequiresAll:
		list, err := k.list(p.Dot("requires_all").Dot("requirements"), t.RequiresAll.GetRequirements(), false)
		return allOf(list), err
	case *jwtauthnv3.JwtRequirement_AllowMissing:
		return requireTokens(all, tokensOf{byIssuer: true, allowMissing: true}), nil
	case *jwtauthnv3.JwtRequirement_AllowMissingOrFailed:
		return requireTokens(all, tokensOf{byIssuer: true, allowFailed: true}), nil
	case *jwtauthnv3.JwtRequirement_ExtractOnlyWithoutValidation:
		// In spite of its name only what is valid is extracted.
		header := matcher.LowerASCII(t.ExtractOnlyWithoutValidation.GetVerificationStatusHeader())
		if header == "" {
			header = "x-jwt-signature-verified"
		}
		return requireTokens(k.f.providers, tokensOf{byIssuer: true, allowFailed: true, unverified: header}), nil
	}
	return nil, field.Only(p, c, "provider_name", "provider_and_audiences", "requires_any", "requires_all", "allow_missing", "allow_missing_or_failed", "extract_only_without_validation")
}

func (k *compiler) list(p field.Path, cs []*jwtauthnv3.JwtRequirement, any bool) ([]requirement, error) {
	var siblings []*provider
	for _, c := range cs {
		name := c.GetProviderName() + c.GetProviderAndAudiences().GetProviderName()
		if x := k.providers[name]; any && x != nil {
			siblings = append(siblings, x)
		}
	}
	var out []requirement
	for i, c := range cs {
		r, err := k.requirement(p.Index(i), c, siblings)
		if err != nil {
			return nil, err
		}
		if r == nil {
			r = satisfied{}
		}
		out = append(out, r)
	}
	return out, nil
}

func (k *compiler) provider(p field.Path, name string) (*provider, error) {
	if x := k.providers[name]; x != nil {
		return x, nil
	}
	return nil, p.Errorf("Required provider ['%s'] is not configured.", name)
}

// routeSettings is a PerRouteConfig compiled.
type routeSettings struct {
	disabled bool
	name     string
}

// routeConfig compiles a PerRouteConfig.
func routeConfig(p field.Path, m *jwtauthnv3.PerRouteConfig, _ *http.FactoryContext) (*routeSettings, error) {
	return &routeSettings{disabled: m.GetDisabled(), name: m.GetRequirementName()}, nil
}
