// Fields that Envoy calls deprecated but obeys are obeyed here too.
//
//lint:file-ignore SA1019 see above

package lua

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	luav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/lua/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/datasource"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream"
	"github.com/weirproxy/weir/proxy/upstream/async"
)

// TypeURL and RouteTypeURL are the configurations' types.
const (
	TypeURL      = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"
	RouteTypeURL = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.LuaPerRoute"
)

// Maker makes filter factories. tables gives each worker's cluster table.
func Maker(tables func(worker int) *upstream.Table) http.FilterMaker {
	return http.FilterMaker{Upstream: true, RouteConfig: http.RouteFrom(routeConfig), RouteTypeURL: RouteTypeURL, New: http.NewFrom(func(p field.Path, m *luav3.Lua, ctx *http.FactoryContext) (*factory, error) {
		f, err := compile(p, m, ctx)
		if err != nil {
			return nil, err
		}
		f.client = async.Clients(tables)
		return f, nil
	})}
}

func compile(p field.Path, m *luav3.Lua, ctx *http.FactoryContext) (*factory, error) {
	if err := field.Only(p, m, "inline_code", "default_source_code", "source_codes", "stat_prefix", "clear_route_cache", "filter_context"); err != nil {
		return nil, err
	}
	f := &factory{named: map[string]*script{}, context: m.GetFilterContext().AsMap(), localAddress: ctx.LocalAddress}
	f.keepRoute = m.GetClearRouteCache() != nil && !m.GetClearRouteCache().GetValue()
	var err error
	switch {
	case m.InlineCode != "" && m.DefaultSourceCode != nil:
		return nil, p.Errorf("inline_code and default_source_code must not both be set")
	case m.InlineCode != "":
		f.script, err = newScript(p.Dot("inline_code"), m.InlineCode, ctx)
	case m.DefaultSourceCode != nil:
		f.script, err = source(p.Dot("default_source_code"), m.DefaultSourceCode, ctx)
	}
	if err != nil {
		return nil, err
	}
	for name, c := range m.SourceCodes {
		if f.named[name], err = source(p.Dot("source_codes").Key(name), c, ctx); err != nil {
			return nil, err
		}
	}
	prefix := ""
	if m.StatPrefix != "" {
		prefix = m.StatPrefix + "."
	}
	f.log = ctx.FilterLog
	f.group = stats.NewGroup[Stats](ctx.Stats, stats.Scope{Prefix: ctx.StatPrefix + "lua." + prefix})
	return f, nil
}

func source(p field.Path, c *corev3.DataSource, ctx *http.FactoryContext) (*script, error) {
	text, err := datasource.Read(p, c)
	if err != nil {
		return nil, err
	}
	return newScript(p, text, ctx)
}

// routeSettings is a LuaPerRoute compiled.
type routeSettings struct {
	disabled bool
	name     string // of a script among the filter's source_codes
	script   *script
	context  map[string]any
}

// routeConfig compiles a LuaPerRoute.
func routeConfig(p field.Path, m *luav3.LuaPerRoute, ctx *http.FactoryContext) (r *routeSettings, err error) {
	if err := field.Only(p, m, "disabled", "name", "source_code", "filter_context"); err != nil {
		return nil, err
	}
	r = &routeSettings{disabled: m.GetDisabled(), name: m.GetName()}
	if m.FilterContext != nil {
		r.context = m.FilterContext.AsMap()
	}
	if s := m.GetSourceCode(); s != nil {
		if r.script, err = source(p.Dot("source_code"), s, ctx); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// newScript compiles a script and runs it once, so that mistakes are found
// with the configuration.
func newScript(p field.Path, text string, ctx *http.FactoryContext) (*script, error) {
	s, err := load(text, ctx.FilterLog)
	if err != nil {
		return nil, p.Errorf("script load error: %w", err)
	}
	s.vms = make([]*vm, len(ctx.Loops))
	return s, nil
}
