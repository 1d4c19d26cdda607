package server

import (
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/xds"
)

// vhosts are the virtual hosts that VHDS adds to a route configuration.
type vhosts struct {
	sub  *xds.Subscription
	base *routev3.RouteConfiguration // as RDS has it
	list []*routev3.VirtualHost
	have bool // the server has answered, or has had its time
}

func (v *vhosts) close() {
	if v != nil && v.sub != nil {
		v.sub.Close()
	}
}

// updateWithVhosts takes a version of an RDS resource whose virtual hosts come
// from another server, and subscribes to those.
func (r *routes) updateWithVhosts(t *routeTable, m *routev3.RouteConfiguration, version string) error {
	p := field.Path("route_config[" + m.Name + "]").Dot("vhds")
	if err := field.Only(p, m.GetVhds(), "config_source"); err != nil {
		return err
	}
	old := t.vhds
	if old != nil && proto.Equal(old.base.GetVhds(), m.GetVhds()) {
		old.base = m
		if err := r.take(t, old.merged(), version); err != nil {
			return err
		}
		t.proto.Vhds = m.Vhds
		reloaded(t.stats)
		return nil
	}
	v := &vhosts{base: m}
	st := r.s.xdsStats("http." + t.prefix + ".rds.vhds." + t.name + ".")
	st.Declare(configReload, "update_empty")
	st.Set("version", 0)
	st.SetText("version_text", "")
	var err error
	v.sub, err = r.s.xds.Subscribe(xds.Request{
		Source: m.GetVhds().GetConfigSource(), Path: p.Dot("config_source"), TypeURL: xds.VirtualHostType,
		OnUpdate: func(rs []xds.Resource, _ string) error {
			before := v.list
			v.list = nil
			for _, res := range rs {
				// Names are "route configuration/virtual host".
				if strings.HasPrefix(res.Name, v.base.Name+"/") {
					v.list = append(v.list, res.Message.(*routev3.VirtualHost))
				}
			}
			if err := r.take(t, v.merged(), t.version); err != nil {
				v.list = before
				return err
			}
			t.proto.Vhds = v.base.Vhds
			st.Inc(configReload)
			reloaded(t.stats)
			v.have = true
			t.ready()
			return nil
		},
		OnFailure: func(why xds.Failure, err error) {
			r.s.discoveryFailed("VHDS "+t.name, why, err, func() { v.have = true; t.ready() })
		},
		Stats: st,
	})
	if err != nil {
		return err
	}
	if err := r.take(t, v.merged(), version); err != nil {
		v.close()
		return err
	}
	t.proto.Vhds = m.Vhds
	old.close()
	t.vhds = v
	return nil
}

// merged is the configuration with its virtual hosts.
func (v *vhosts) merged() *routev3.RouteConfiguration {
	m := proto.CloneOf(v.base)
	m.Vhds = nil
	m.VirtualHosts = append(m.VirtualHosts, v.list...)
	return m
}
