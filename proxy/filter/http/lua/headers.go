package lua

import (
	"slices"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"github.com/weirproxy/weir/proxy/http"
)

// headerMap is a script's view of headers or trailers.
type headerMap struct {
	*side
	h *http.HeaderMap
}

var headersMethods = map[string]lua.LGFunction{
	"add": func(l *lua.LState) int {
		m := modifiable(l)
		name, value := m.line(l)
		single := strings.HasPrefix(name, ":") || http.LookupID(name).Joined(!m.response)
		if old, ok := m.h.GetName(name); ok && single {
			m.h.SetName(m.h.Own(name), m.h.Concat(old, ",", value))
		} else {
			m.h.AddName(m.h.Own(name), m.h.Own(value))
		}
		m.changed()
		return 0
	},
	"replace": func(l *lua.LState) int {
		m := modifiable(l)
		name, value := m.line(l)
		m.h.SetName(m.h.Own(name), m.h.Own(value))
		m.changed()
		return 0
	},
	"remove": func(l *lua.LState) int {
		m := modifiable(l)
		m.h.RemoveName(headerName(l, 2))
		m.changed()
		return 0
	},
	"setHttp1ReasonPhrase": func(l *lua.LState) int {
		m := modifiable(l)
		phrase := argument(l, 2)
		if !http.ValidValue(phrase) {
			l.ArgError(2, "not a reason phrase")
		}
		m.h.Reason = phrase
		return 0
	},
	"get": func(l *lua.LState) int {
		value, ok := self[*headerMap](l).h.Joined(headerName(l, 2))
		if !ok {
			return 0
		}
		return push(l, text(value))
	},
	"getAtIndex": func(l *lua.LState) int {
		values, i := self[*headerMap](l).h.Values(headerName(l, 2)), index(l, 3)
		if i < 0 || i >= len(values) {
			return 0
		}
		return push(l, text(values[i]))
	},
	"getNumValues": func(l *lua.LState) int {
		return push(l, lua.LNumber(len(self[*headerMap](l).h.Values(headerName(l, 2)))))
	},
}

// modifiable is the receiver of a method that changes it.
func modifiable(l *lua.LState) *headerMap {
	m := self[*headerMap](l)
	switch {
	case m.iterated == m.h:
		l.RaiseError("header map cannot be modified while iterating")
	case m.continued && m.h == m.headers:
		l.RaiseError("header map can no longer be modified")
	}
	return m
}

// changed has the route chosen anew for a request whose headers are other ones
// now, unless clear_route_cache is false.
func (m *headerMap) changed() {
	if !m.response && m.h == m.headers && !m.f.keepRoute {
		m.f.cb.ClearRouteCache()
	}
}

// line is the header of the arguments 2 and 3. What can't be sent has the
// codec refuse a request, with Envoy's answer. Envoy sends such lines in
// responses: one header of a script could there be many, and is an error.
func (m *headerMap) line(l *lua.LState) (name, value string) {
	name, value = headerName(l, 2), cString(argument(l, 3))
	switch {
	case validName(name) && http.ValidValue(value):
	case m.response:
		l.ArgError(2, "not a header that can be sent")
	default:
		m.h.MarkOdd()
	}
	return name, value
}

// headerName is an argument that names a header, in lower case.
func headerName(l *lua.LState, n int) string {
	name := strings.ToLower(cString(l.CheckString(n)))
	if name == "host" {
		return ":authority"
	}
	return name
}

// cString is what Envoy reads of a string that may have a NUL in it.
func cString(s string) string {
	s, _, _ = strings.Cut(s, "\x00")
	return s
}

// validName tells whether a name is a token (RFC 9110 section 5.6.2), or one
// behind the colon of a pseudo-header.
func validName(name string) bool { return http.IsToken(strings.TrimPrefix(name, ":")) }

// iterator implements iterable over the lines as they are now: pseudo-headers
// first. Until it is at the end, the map can't be changed.
func (m *headerMap) iterator(l *lua.LState) lua.LGFunction {
	if m.iterated == m.h {
		l.RaiseError("cannot create a second iterator before completing the first")
	}
	m.iterated = m.h
	var lines, rest [][2]string
	for h := range m.h.All {
		line := [2]string{strings.Clone(h.Name), strings.Clone(h.Value)}
		if strings.HasPrefix(h.Name, ":") {
			lines = append(lines, line)
		} else {
			rest = append(rest, line)
		}
	}
	slices.SortStableFunc(lines, func(a, b [2]string) int { return pseudoRank(a[0]) - pseudoRank(b[0]) })
	lines = append(lines, rest...)
	return func(l *lua.LState) int {
		if len(lines) == 0 {
			if m.iterated == m.h {
				m.iterated = nil
			}
			return push(l, lua.LNil)
		}
		l.Push(lua.LString(lines[0][0]))
		l.Push(lua.LString(lines[0][1]))
		lines = lines[1:]
		return 2
	}
}

// pseudoRank is the place of a pseudo-header, as Envoy's HTTP/1 has them.
func pseudoRank(name string) int {
	return slices.Index([]string{":authority", ":path", ":method", ":scheme"}, name)
}

// headerTable reads headers from a table: a value, or a list of values, by
// name.
func headerTable(l *lua.LState, t *lua.LTable) (out [][2]string) {
	t.ForEach(func(k, v lua.LValue) {
		key, ok := k.(lua.LString)
		if !ok {
			l.RaiseError("a header's name is a string, not a %s", k.Type())
		}
		name := strings.ToLower(string(key))
		if name == "host" {
			name = ":authority"
		}
		values := []lua.LValue{v}
		if list, ok := v.(*lua.LTable); ok {
			values = values[:0]
			list.ForEach(func(_, x lua.LValue) { values = append(values, x) })
		}
		for _, x := range values {
			value, ok := stringOf(x)
			if !ok || !validName(name) || strings.ContainsAny(value, "\r\n\x00") {
				l.RaiseError("%q is not a header with a value that can be sent", name)
			}
			out = append(out, [2]string{name, value})
		}
	})
	return out
}
