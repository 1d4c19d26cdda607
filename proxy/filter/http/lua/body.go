package lua

import (
	lua "github.com/yuin/gopher-lua"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// body is a script's view of a body, or of one piece of it.
type body struct {
	*side
	b *network.Buffer
}

var bodyMethods = map[string]lua.LGFunction{
	"length": func(l *lua.LState) int { return push(l, lua.LNumber(self[*body](l).b.Len())) },
	"getBytes": func(l *lua.LState) int {
		b, index, n := self[*body](l).b, l.CheckInt(2), l.CheckInt(3)
		if index < 0 || n < 0 || index > b.Len() || n > b.Len()-index {
			l.RaiseError("index/length must be >= 0 and (index + length) must be <= buffer size")
		}
		p := make([]byte, index+n)
		b.CopyTo(p)
		return push(l, lua.LString(p[index:]))
	},
	"setBytes": func(l *lua.LState) int {
		x, s := self[*body](l), argument(l, 2)
		x.b.Reset()
		x.b.AppendString(s)
		x.headers.SetInt(http.ContentLength, int64(len(s)))
		return push(l, lua.LNumber(len(s)))
	},
}
