package lua

import (
	"strings"

	lua "github.com/yuin/gopher-lua"

	"github.com/weirproxy/weir/proxy/filterstate"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

type (
	// info is handle:streamInfo().
	info struct{ *side }
	// dynamic is the stream's dynamic metadata.
	dynamic struct{ *side }
	// metadata is configured metadata of one namespace.
	metadata struct {
		*side
		fields map[string]any
	}
	// metadataSource is the route or the virtual host.
	metadataSource struct {
		*side
		vhost bool
	}
	connection  struct{ *side }
	filterState struct{ *side }
	// connectionInfo is handle:connectionStreamInfo().
	connectionInfo struct{ *side }
)

var infoMethods = map[string]lua.LGFunction{
	"protocol":                      infoText(func(i *streaminfo.Info) string { return i.Protocol }),
	"routeName":                     infoText(func(i *streaminfo.Info) string { return i.RouteName }),
	"virtualClusterName":            infoText(func(i *streaminfo.Info) string { return i.VirtualCluster }),
	"requestedServerName":           infoText(func(i *streaminfo.Info) string { return i.RequestedServerName }),
	"downstreamLocalAddress":        infoText(func(i *streaminfo.Info) string { return i.DownstreamLocal.String() }),
	"downstreamDirectLocalAddress":  infoText(func(i *streaminfo.Info) string { return i.DownstreamDirectLocal.String() }),
	"downstreamRemoteAddress":       infoText(func(i *streaminfo.Info) string { return i.DownstreamRemote.String() }),
	"downstreamDirectRemoteAddress": infoText(func(i *streaminfo.Info) string { return i.DownstreamDirectRemote.String() }),
	"downstreamSslConnection":       getSSL,
	"drainConnectionUponCompletion": func(l *lua.LState) int {
		self[*info](l).f.cb.StreamInfo().DrainConnection = true
		return 0
	},
	"dynamicMetadata": func(l *lua.LState) int {
		s := self[*info](l).side
		return push(l, s.once(l, dynamicType, func() any { return &dynamic{s} }))
	},
	// There is no typed metadata.
	"dynamicTypedMetadata": func(l *lua.LState) int { self[*info](l); l.CheckString(2); return push(l, lua.LNil) },
	"filterState": func(l *lua.LState) int {
		s := self[*info](l).side
		return push(l, s.once(l, filterStateType, func() any { return &filterState{s} }))
	},
}

func infoText(get func(*streaminfo.Info) string) lua.LGFunction {
	return func(l *lua.LState) int { return push(l, text(get(self[*info](l).f.cb.StreamInfo()))) }
}

var dynamicMethods = map[string]lua.LGFunction{
	"get": func(l *lua.LState) int {
		fields, ok := self[*dynamic](l).f.cb.StreamInfo().Metadata[l.CheckString(2)]
		if !ok {
			return 0
		}
		return push(l, toLua(l, fields))
	},
	"set": func(l *lua.LState) int {
		d := self[*dynamic](l)
		d.f.cb.StreamInfo().SetMetadata(l.CheckString(2), l.CheckString(3), fromLua(l, l.Get(4), 0))
		return 0
	},
}

// iterator implements iterable over the namespaces.
func (d *dynamic) iterator(l *lua.LState) lua.LGFunction {
	all := map[string]any{}
	for ns, fields := range d.f.cb.StreamInfo().Metadata {
		all[ns] = fields
	}
	return iterate(l, all)
}

var metadataMethods = map[string]lua.LGFunction{
	"get": func(l *lua.LState) int {
		x, ok := self[*metadata](l).fields[l.CheckString(2)]
		if !ok {
			return 0
		}
		return push(l, toLua(l, x))
	},
}

// iterator implements iterable over the keys.
func (m *metadata) iterator(l *lua.LState) lua.LGFunction { return iterate(l, m.fields) }

func iterate(_ *lua.LState, fields map[string]any) lua.LGFunction {
	keys := make([]string, 0, len(fields))
	for k := range fields {
		keys = append(keys, k)
	}
	return func(l *lua.LState) int {
		if len(keys) == 0 {
			return push(l, lua.LNil)
		}
		k := keys[0]
		keys = keys[1:]
		l.Push(lua.LString(k))
		l.Push(toLua(l, fields[k]))
		return 2
	}
}

// legacyName is where metadata for the filter lies when there is none under
// its own name.
const legacyName = "envoy.filters.http.lua"

func (f *filter) fieldsOf(m map[string]map[string]any) map[string]any {
	if fields, ok := m[f.cb.FilterName()]; ok {
		return fields
	}
	return m[legacyName]
}

// routeMetadata is the route's metadata for this filter.
func (f *filter) routeMetadata() map[string]any {
	if r, ok := f.cb.Route().(interface {
		Metadata() map[string]map[string]any
	}); ok {
		return f.fieldsOf(r.Metadata())
	}
	return nil
}

func (f *filter) filterContext() map[string]any {
	if f.settings != nil && f.settings.context != nil {
		return f.settings.context
	}
	return f.context
}

var metadataSourceMethods = map[string]lua.LGFunction{
	"metadata": func(l *lua.LState) int {
		x := self[*metadataSource](l)
		fields := x.f.routeMetadata()
		if x.vhost {
			fields = nil
			if r, ok := x.f.cb.Route().(interface {
				VirtualHostMetadata() map[string]map[string]any
			}); ok {
				fields = x.f.fieldsOf(r.VirtualHostMetadata())
			}
		}
		return push(l, x.v.wrap(l, metadataType, &metadata{x.side, fields}))
	},
}

var filterStateMethods = map[string]lua.LGFunction{
	"get": func(l *lua.LState) int {
		x, ok := self[*filterState](l).f.cb.StreamInfo().FilterState[l.CheckString(2)]
		if !ok {
			return 0
		}
		o, isObject := x.(streaminfo.FilterStateObject)
		switch {
		case isObject && l.GetTop() > 2:
			if v, ok := o.Field(l.CheckString(3)); ok {
				return push(l, text(v))
			}
			return push(l, lua.LNil)
		case isObject:
			return push(l, text(o.String()))
		case l.GetTop() > 2:
			return 0 // it has no fields
		}
		return push(l, toLua(l, x))
	},
	"set": func(l *lua.LState) int {
		x, name, factory, value := self[*filterState](l), l.CheckString(2), l.CheckString(3), argument(l, 4)
		object, err := filterstate.Object(name, factory, strings.Clone(value))
		if err != nil {
			l.RaiseError("%v", err)
		}
		x.f.cb.StreamInfo().SetFilterState(strings.Clone(name), object)
		return 0
	},
}

var connectionMethods = map[string]lua.LGFunction{
	"ssl": func(l *lua.LState) int { return pushSSL(l, self[*connection](l).side) },
}

var connectionInfoMethods = map[string]lua.LGFunction{
	"dynamicMetadata": func(l *lua.LState) int {
		s := self[*connectionInfo](l).side
		return push(l, s.v.wrap(l, connectionMetadataType, &connectionMetadata{s}))
	},
	"dynamicTypedMetadata": func(l *lua.LState) int { self[*connectionInfo](l); l.CheckString(2); return push(l, lua.LNil) },
}

// connectionMetadata is the connection's dynamic metadata, which can be read.
type connectionMetadata struct{ *side }

func (m *connectionMetadata) all() map[string]map[string]any {
	if i := m.f.cb.Connection().Info; i != nil {
		return i.Metadata
	}
	return nil
}

var connectionMetadataMethods = map[string]lua.LGFunction{
	"get": func(l *lua.LState) int {
		fields, ok := self[*connectionMetadata](l).all()[l.CheckString(2)]
		if !ok {
			return 0
		}
		return push(l, toLua(l, fields))
	},
}

// iterator implements iterable over the namespaces.
func (m *connectionMetadata) iterator(l *lua.LState) lua.LGFunction {
	all := map[string]any{}
	for ns, fields := range m.all() {
		all[ns] = fields
	}
	return iterate(l, all)
}

func getSSL(l *lua.LState) int { return pushSSL(l, self[*info](l).side) }

func pushSSL(l *lua.LState, s *side) int {
	tls := s.f.cb.StreamInfo().DownstreamTLS()
	if tls == nil {
		return push(l, lua.LNil)
	}
	return push(l, s.v.wrap(l, sslType, &ssl{s, tls}))
}
