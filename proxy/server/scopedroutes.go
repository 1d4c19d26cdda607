package server

import (
	"fmt"
	"slices"
	"strings"
	"time"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/http/manager"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/route"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/xds"
)

// scopedRoutes are route configurations of which a key made of a request's
// headers chooses one: scoped_routes, inline or by SRDS.
type scopedRoutes struct {
	prefix   string // of statistics
	name     string
	r        *routes
	listener string
	key      []keyFragment
	rds      *corev3.ConfigSource
	path     field.Path // of rds
	// byWorker are the tables by key; each map is read on its worker only, and
	// replaced, not changed.
	byWorker []map[string]*routeTable
	tables   []*routeTable // in use, on main
	sub      *xds.Subscription
	scopes   []*routev3.ScopedRouteConfiguration // in use, for /config_dump
	version  string                              // of the last update that added or changed a scope
	updated  time.Time
	stats    *stats.Group[scopedStats] // of SRDS, else nil
	wait     func(what string) (done func())
	first    func() // lets go of the listener that waits for the first scopes
}

// scopedStats are those of scopes that SRDS brings. All are loaded at once: none
// on demand.
type scopedStats struct {
	ActiveScopes     stats.Gauge   `stat:"active_scopes"`
	AllScopes        stats.Gauge   `stat:"all_scopes"`
	ConfigReload     stats.Counter `stat:"config_reload"`
	ConfigReloadTime stats.Gauge   `stat:"config_reload_time_ms"`
	OnDemandScopes   stats.Gauge   `stat:"on_demand_scopes"`
	UpdateEmpty      stats.Counter `stat:"update_empty"`
}

// keyFragment is a header_value_extractor.
type keyFragment struct {
	header, separator string
	index             int
	elementKey        string // the element is key, elementSeparator, value
	elementSeparator  string
}

func (k *keyFragment) value(h *http.HeaderMap) (string, bool) {
	v, ok := h.GetName(k.header)
	if id := http.LookupID(k.header); id != http.Unknown {
		v, ok = h.Get(id), h.Has(id)
	}
	if !ok {
		return "", false
	}
	if k.elementSeparator == "" {
		if k.separator == "" {
			return v, k.index == 0
		}
		for i := 0; i < k.index; i++ {
			if _, v, ok = strings.Cut(v, k.separator); !ok {
				return "", false
			}
		}
		v, _, _ = strings.Cut(v, k.separator)
		return v, true
	}
	for v != "" {
		element := v
		if k.separator != "" {
			element, v, _ = strings.Cut(v, k.separator)
		} else {
			v = ""
		}
		if name, value, ok := strings.Cut(element, k.elementSeparator); ok && name == k.elementKey {
			return value, true
		}
	}
	return "", false
}

// Config implements manager.RouteProvider: without a request there is none.
func (s *scopedRoutes) Config(int) *route.Config { return nil }

// Scoped implements manager.ScopedRoutes.
func (s *scopedRoutes) Scoped(worker int, h *http.HeaderMap) *route.Config {
	var buf [128]byte
	key := buf[:0]
	for i := range s.key {
		v, ok := s.key[i].value(h)
		if !ok {
			return nil
		}
		key = append(append(key, v...), 0)
	}
	if t := s.byWorker[worker][string(key)]; t != nil {
		return t.Config(worker)
	}
	return nil
}

func (f routeFactory) scoped(p field.Path, m *hcmv3.ScopedRoutes, prefix string) (manager.RouteProvider, error) {
	if err := field.Only(p, m, "name", "scope_key_builder", "rds_config_source", "scoped_route_configurations_list", "scoped_rds"); err != nil {
		return nil, err
	}
	s := &scopedRoutes{name: m.GetName(), r: f.r, listener: f.ctx.Listener, rds: m.GetRdsConfigSource(), path: p.Dot("rds_config_source"), prefix: prefix,
		byWorker: make([]map[string]*routeTable, len(f.r.s.loops)), wait: f.ctx.WaitFor, first: func() {}}
	for i, fr := range m.GetScopeKeyBuilder().GetFragments() {
		k, err := newKeyFragment(p.Dot("scope_key_builder").Dot("fragments").Index(i), fr)
		if err != nil {
			return nil, err
		}
		s.key = append(s.key, k)
	}
	f.ctx.OnClose(s.close)
	f.r.scoped = append(f.r.scoped, s)
	if list := m.GetScopedRouteConfigurationsList(); list != nil {
		return s, s.set(list.GetScopedRouteConfigurations(), "")
	}
	rds := m.GetScopedRds()
	if err := field.Only(p.Dot("scoped_rds"), rds, "scoped_rds_config_source"); err != nil {
		return nil, err
	}
	s.first = f.ctx.WaitFor("srds " + m.GetName())
	statsPrefix := "http." + prefix + ".scoped_rds." + m.GetName() + "."
	s.stats = stats.NewGroup[scopedStats](f.r.s.stats, stats.Scope{Prefix: statsPrefix})
	s.stats.For(0)
	var err error
	s.sub, err = f.r.s.xds.Subscribe(xds.Request{
		Source: rds.GetScopedRdsConfigSource(), Path: p.Dot("scoped_rds").Dot("scoped_rds_config_source"), TypeURL: xds.ScopedRouteType,
		OnUpdate: func(rs []xds.Resource, version string) error {
			scopes := make([]*routev3.ScopedRouteConfiguration, len(rs))
			for i, r := range rs {
				scopes[i] = r.Message.(*routev3.ScopedRouteConfiguration)
			}
			return s.set(scopes, version)
		},
		OnFailure: func(why xds.Failure, err error) {
			f.r.s.discoveryFailed("SRDS "+m.GetName(), why, err, s.first)
		},
		Stats: f.r.s.xdsStats(statsPrefix),
	})
	return s, err
}

func newKeyFragment(p field.Path, m *hcmv3.ScopedRoutes_ScopeKeyBuilder_FragmentBuilder) (keyFragment, error) {
	e := m.GetHeaderValueExtractor()
	p = p.Dot("header_value_extractor")
	if e == nil {
		return keyFragment{}, p.Errorf("is required")
	}
	name := matcher.LowerASCII(e.GetName())
	if name == "host" {
		name = ":authority"
	}
	k := keyFragment{header: name, separator: e.GetElementSeparator(), index: int(e.GetIndex())}
	if el := e.GetElement(); el != nil {
		k.elementKey, k.elementSeparator = el.GetKey(), el.GetSeparator()
	}
	if k.separator == "" && k.index > 0 {
		return k, p.Dot("index").Errorf("index > 0 for empty string element separator")
	}
	return k, nil
}

// set takes a whole set of scopes into use. On an error the old ones stay.
func (s *scopedRoutes) set(scopes []*routev3.ScopedRouteConfiguration, version string) error {
	byKey := make(map[string]*routeTable, len(scopes))
	var tables []*routeTable
	for _, scope := range scopes {
		p := field.Path("scoped_route[" + scope.GetName() + "]")
		t, key, err := s.table(p, scope)
		if err == nil && byKey[key] != nil {
			err = p.Dot("key").Errorf("scope key conflict found")
		}
		if t != nil {
			tables = append(tables, t)
		}
		if err != nil {
			s.leave(tables)
			return err
		}
		byKey[key] = t
		if !t.have {
			t.waiting = append(t.waiting, s.wait(fmt.Sprintf("rds %s of scope %s", t.name, scope.GetName())))
		}
	}
	s.leave(s.tables)
	s.tables = tables
	s.note(scopes, version)
	for i, l := range s.r.s.loops {
		l.Post(func() { s.byWorker[i] = byKey })
	}
	s.first()
	return nil
}

// note keeps what is told of a set of scopes. What only goes is counted, but is
// no new version.
func (s *scopedRoutes) note(scopes []*routev3.ScopedRouteConfiguration, version string) {
	old := map[string]*routev3.ScopedRouteConfiguration{}
	for _, scope := range s.scopes {
		old[scope.GetName()] = scope
	}
	applied := false
	for _, scope := range scopes {
		applied = applied || !proto.Equal(scope, old[scope.GetName()])
		delete(old, scope.GetName())
	}
	s.scopes = scopes
	if applied || s.updated.IsZero() {
		s.version, s.updated = version, time.Now()
	}
	if s.stats == nil {
		return
	}
	st := s.stats.For(0)
	st.AllScopes.Set(int64(len(scopes)))
	st.ActiveScopes.Set(int64(len(scopes)))
	if applied || len(old) > 0 {
		st.ConfigReload.Inc()
		st.ConfigReloadTime.Set(time.Now().UnixMilli())
	}
}

// dumpScoped is the scoped routes of /config_dump.
func (r *routes) dumpScoped() proto.Message {
	m := &adminv3.ScopedRoutesConfigDump{}
	for _, s := range r.scoped {
		var scopes []*anypb.Any
		for _, scope := range s.scopes {
			scopes = append(scopes, pack(scope))
		}
		switch {
		case s.sub == nil:
			m.InlineScopedRouteConfigs = append(m.InlineScopedRouteConfigs, &adminv3.ScopedRoutesConfigDump_InlineScopedRouteConfigs{
				Name: s.name, ScopedRouteConfigs: scopes, LastUpdated: stamp(s.updated)})
		case s.version != "":
			m.DynamicScopedRouteConfigs = append(m.DynamicScopedRouteConfigs, &adminv3.ScopedRoutesConfigDump_DynamicScopedRouteConfigs{
				Name: s.name, VersionInfo: s.version, ScopedRouteConfigs: scopes, LastUpdated: stamp(s.updated)})
		}
	}
	return m
}

// table is a scope's route configuration and its key.
func (s *scopedRoutes) table(p field.Path, m *routev3.ScopedRouteConfiguration) (*routeTable, string, error) {
	if err := field.Only(p, m, "name", "key", "route_configuration_name", "route_configuration"); err != nil {
		return nil, "", err
	}
	key := ""
	for _, f := range m.GetKey().GetFragments() {
		key += f.GetStringKey() + "\x00"
	}
	if rc := m.GetRouteConfiguration(); rc != nil {
		t, err := s.r.newStatic(p.Dot("route_configuration"), rc, s.listener)
		return t, key, err
	}
	if m.GetRouteConfigurationName() == "" {
		return nil, "", p.Errorf("needs route_configuration_name or route_configuration")
	}
	t, err := s.r.subscribe(s.path, s.rds, m.GetRouteConfigurationName(), s.listener, s.prefix)
	return t, key, err
}

func (s *scopedRoutes) leave(tables []*routeTable) {
	for _, t := range tables {
		s.r.leave(t, s.listener)
	}
}

func (s *scopedRoutes) close() {
	s.r.scoped = slices.DeleteFunc(s.r.scoped, func(o *scopedRoutes) bool { return o == s })
	if s.stats != nil {
		s.stats.Close()
	}
	if s.sub != nil {
		s.sub.Close()
	}
	s.leave(s.tables)
	s.tables = nil
}
