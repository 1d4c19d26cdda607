package server

import (
	"sort"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/filter"
	"github.com/weirproxy/weir/proxy/http/manager"
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/route"
	"github.com/weirproxy/weir/xds"
)

// routes owns the route configurations: those in the listeners and those that
// RDS keeps up to date. It runs on main.
type routes struct {
	s    *server
	live map[*routeTable]bool
	// scoped are those of which a request's headers choose one; used tells that
	// there has been a connection manager.
	scoped []*scopedRoutes
	used   bool
	rds    map[string]*routeTable // by source and name, shared by the managers that ask
}

// routeTable is one route configuration in use.
type routeTable struct {
	name     string
	version  string
	static   bool
	proto    *routev3.RouteConfiguration // for /routes and /config_dump
	current  *route.Config
	byWorker []*route.Config // each written and read on its worker only
	users    map[string]int  // listeners by name
	sub      *xds.Subscription
	stats    xds.Stats // of sub
	vhds     *vhosts   // nil unless virtual hosts come by VHDS
	waiting  []func()
	key      string
	prefix   string // of the first who asked
	have     bool
	updated  time.Time
}

// Config implements manager.RouteProvider.
func (t *routeTable) Config(worker int) *route.Config { return t.byWorker[worker] }

func newRoutes(s *server) *routes {
	return &routes{s: s, live: map[*routeTable]bool{}, rds: map[string]*routeTable{}}
}

// Provider implements manager.RouteFactory for one connection manager.
type routeFactory struct {
	r   *routes
	ctx *listener.FactoryContext
}

func (f routeFactory) Provider(p field.Path, m *hcmv3.HttpConnectionManager) (manager.RouteProvider, error) {
	f.r.used = true
	if m.GetRouteConfig() != nil {
		return f.static(p.Dot("route_config"), m.GetRouteConfig())
	}
	if m.GetRds() != nil {
		return f.dynamic(p.Dot("rds"), m.GetRds(), m.GetStatPrefix())
	}
	if m.GetScopedRoutes() != nil {
		return f.scoped(p.Dot("scoped_routes"), m.GetScopedRoutes(), m.GetStatPrefix())
	}
	return nil, p.Errorf("weir needs route_config, rds or scoped_routes")
}

func (f routeFactory) static(p field.Path, m *routev3.RouteConfiguration) (manager.RouteProvider, error) {
	t, err := f.r.newStatic(p, m, f.ctx.Listener)
	if err != nil {
		return nil, err
	}
	f.ctx.OnClose(func() { f.r.leave(t, f.ctx.Listener) })
	return t, nil
}

// newStatic is the table of a configuration that does not change; the listener
// must leave it.
func (r *routes) newStatic(p field.Path, m *routev3.RouteConfiguration, listener string) (*routeTable, error) {
	c, err := r.compile(p, m, true)
	if err != nil {
		return nil, err
	}
	t := r.newTable(m.GetName(), listener)
	t.static, t.proto, t.current, t.have, t.updated = true, m, c, true, time.Now()
	for i := range t.byWorker {
		t.byWorker[i] = c
	}
	return t, nil
}

func (f routeFactory) dynamic(p field.Path, m *hcmv3.Rds, prefix string) (manager.RouteProvider, error) {
	if err := field.Only(p, m, "config_source", "route_config_name"); err != nil {
		return nil, err
	}
	t, err := f.r.subscribe(p.Dot("config_source"), m.ConfigSource, m.RouteConfigName, f.ctx.Listener, prefix)
	if err != nil {
		return nil, err
	}
	f.ctx.OnClose(func() { f.r.leave(t, f.ctx.Listener) })
	if !t.have {
		t.waiting = append(t.waiting, f.ctx.WaitFor("rds "+m.RouteConfigName))
	}
	return t, nil
}

// subscribe is the table of a name at an RDS server, which all who ask share;
// the listener must leave it. Its statistics are under the first one's prefix.
func (r *routes) subscribe(p field.Path, source *corev3.ConfigSource, name, listener, prefix string) (*routeTable, error) {
	key := name + "\x00" + source.String()
	if t := r.rds[key]; t != nil {
		t.users[listener]++
		r.s.namesChanged()
		return t, nil
	}
	t := r.newTable(name, listener)
	t.key, t.stats = key, r.s.xdsStats("http."+prefix+".rds."+name+".")
	t.stats.Declare(configReload, "update_empty") // Envoy never counts the second
	t.prefix = prefix
	sub, err := r.s.xds.Subscribe(xds.Request{
		Source: source, Path: p, TypeURL: xds.RouteType, Names: []string{name},
		OnUpdate: func(rs []xds.Resource, version string) error { return r.update(t, rs, version) },
		OnFailure: func(why xds.Failure, err error) {
			r.s.log.get("config").Warn("no routes", "route_config", t.name, "reason", why.String(), "error", err)
			t.ready()
		},
		OnRemoved: func(string) { t.ready() },
		Stats:     t.stats,
	})
	if err != nil {
		delete(r.live, t)
		return nil, err
	}
	t.sub = sub
	r.rds[key] = t
	return t, nil
}

func (r *routes) newTable(name, listener string) *routeTable {
	t := &routeTable{name: name, byWorker: make([]*route.Config, len(r.s.loops)), users: map[string]int{listener: 1}}
	r.live[t] = true
	r.s.namesChanged()
	return t
}

// leave forgets a table when its last user is gone.
func (r *routes) leave(t *routeTable, listener string) {
	if t.users[listener]--; t.users[listener] > 0 {
		return
	}
	delete(t.users, listener)
	r.s.namesChanged()
	if len(t.users) > 0 {
		return
	}
	delete(r.live, t)
	if t.current != nil {
		t.current.Close()
	}
	t.vhds.close()
	if t.sub != nil {
		t.sub.Close()
		delete(r.rds, t.key)
	}
}

// update takes a new version of an RDS resource to the workers.
func (r *routes) update(t *routeTable, rs []xds.Resource, version string) error {
	for _, res := range rs {
		m := res.Message.(*routev3.RouteConfiguration)
		if m.GetVhds() != nil {
			if err := r.updateWithVhosts(t, m, version); err != nil {
				return err
			}
			continue
		}
		t.vhds.close()
		t.vhds = nil
		if err := r.take(t, m, version); err != nil {
			return err
		}
		reloaded(t.stats)
	}
	if t.vhds == nil || t.vhds.have {
		t.ready()
	}
	return nil
}

// take compiles a configuration and gives it to the workers.
func (r *routes) take(t *routeTable, m *routev3.RouteConfiguration, version string) error {
	c, err := r.compile(field.Path("route_config["+m.Name+"]"), m, false)
	if err != nil {
		return err
	}
	if t.current != nil {
		t.current.Close()
	}
	t.proto, t.version, t.current, t.have, t.updated = m, version, c, true, time.Now()
	r.s.namesChanged()
	for i, l := range r.s.loops {
		l.Post(func() { t.byWorker[i] = c })
	}
	return nil
}

// ready lets go of the listeners that wait for the table.
func (t *routeTable) ready() {
	for _, done := range t.waiting {
		done()
	}
	t.waiting = nil
}

// compile compiles a configuration. validate is validate_clusters where it is
// not given.
func (r *routes) compile(p field.Path, m *routev3.RouteConfiguration, validate bool) (*route.Config, error) {
	ctx := r.s.filterContext(nil)
	return route.Compile(p, m, route.Options{
		FilterConfig: filter.RouteConfigs(r.s.httpFilters, &ctx),
		ClusterKnown: r.s.clusters.Has, ValidateClusters: validate,
		Runtime:       r.s.runtime.Value,
		Stats:         r.s.stats,
		CompileFormat: manager.CompileFormat,
	})
}

// sorted are the tables in use, by name.
func (r *routes) sorted() []*routeTable {
	out := make([]*routeTable, 0, len(r.live))
	for t := range r.live {
		out = append(out, t)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].name < out[j].name })
	return out
}
