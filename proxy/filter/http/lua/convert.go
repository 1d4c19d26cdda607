package lua

import (
	lua "github.com/yuin/gopher-lua"
)

// toLua makes a Lua value of what metadata is made of: string, number, bool,
// nil, map and list.
func toLua(l *lua.LState, x any) lua.LValue {
	switch v := x.(type) {
	case string:
		return lua.LString(v)
	case float64:
		return lua.LNumber(v)
	case bool:
		return lua.LBool(v)
	case map[string]any:
		t := l.NewTable()
		for k, e := range v {
			t.RawSetString(k, toLua(l, e))
		}
		return t
	case []any:
		t := l.NewTable()
		for _, e := range v {
			t.Append(toLua(l, e))
		}
		return t
	}
	return lua.LNil
}

// maxDepth bounds tables in tables.
const maxDepth = 32

// fromLua is toLua's inverse: a table with a first element is a list.
func fromLua(l *lua.LState, x lua.LValue, depth int) any {
	if depth > maxDepth {
		l.RaiseError("a value is nested too deeply")
	}
	switch v := x.(type) {
	case lua.LString:
		return string(v)
	case lua.LNumber:
		return float64(v)
	case lua.LBool:
		return bool(v)
	case *lua.LTable:
		if n := v.Len(); n > 0 {
			list := make([]any, 0, n)
			for i := 1; i <= n; i++ {
				list = append(list, fromLua(l, v.RawGetInt(i), depth+1))
			}
			return list
		}
		m := map[string]any{}
		v.ForEach(func(k, e lua.LValue) { m[k.String()] = fromLua(l, e, depth+1) })
		return m
	case *lua.LNilType:
		return nil
	}
	l.RaiseError("a %s can't be metadata", x.Type())
	return nil
}
