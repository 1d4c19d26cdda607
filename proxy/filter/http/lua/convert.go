package lua

import (
	"math"
	"strconv"
	"strings"

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

// stringOf is a string, or a number as LuaJIT writes it.
func stringOf(v lua.LValue) (string, bool) {
	switch x := v.(type) {
	case lua.LString:
		return string(x), true
	case lua.LNumber:
		return formatNumber(float64(x)), true
	}
	return "", false
}

// formatNumber is C's %.14g.
func formatNumber(x float64) string {
	switch {
	case math.IsInf(x, 1):
		return "inf"
	case math.IsInf(x, -1):
		return "-inf"
	case math.IsNaN(x):
		return "nan"
	case x == math.Trunc(x) && math.Abs(x) < 1e14:
		return strconv.FormatFloat(x, 'f', -1, 64)
	}
	s := strconv.FormatFloat(x, 'g', 14, 64)
	mantissa, exponent, scientific := strings.Cut(s, "e")
	if strings.Contains(mantissa, ".") {
		mantissa = strings.TrimRight(strings.TrimRight(mantissa, "0"), ".")
	}
	if scientific {
		return mantissa + "e" + exponent
	}
	return mantissa
}

// argument is an argument that is a string or a number.
func argument(l *lua.LState, n int) string {
	s, ok := stringOf(l.Get(n))
	if !ok {
		l.TypeError(n, lua.LTString)
	}
	return s
}

// index is an argument that is a number, or a string that is one.
func index(l *lua.LState, n int) int {
	if s, ok := l.Get(n).(lua.LString); ok {
		if i, err := strconv.Atoi(string(s)); err == nil {
			return i
		}
	}
	return l.CheckInt(n)
}

// optional is an argument that may be missing.
func optional(l *lua.LState, n int) string {
	if l.Get(n) == lua.LNil {
		return ""
	}
	return argument(l, n)
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
			v.ForEach(func(k, _ lua.LValue) {
				if _, ok := k.(lua.LNumber); !ok {
					l.RaiseError("a table with a list's first element has the key %q", k.String())
				}
			})
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
	l.RaiseError("unexpected type '%s' in dynamicMetadata", x.Type())
	return nil
}
