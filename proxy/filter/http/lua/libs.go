package lua

import (
	lua "github.com/yuin/gopher-lua"
)

// prelude replaces pcall and xpcall by ones through which a coroutine can
// yield: the function runs in a coroutine of its own, and what that yields is
// yielded on.
const prelude = `
local inWords = ...
local create, resume, status, yield = coroutine.create, coroutine.resume, coroutine.status, coroutine.yield
local unpack, select = unpack, select
local function step(co, ok, ...)
	if not ok then return false, inWords(...) end
	if status(co) == "dead" then return true, ... end
	return step(co, resume(co, yield(...)))
end
function pcall(f, ...)
	-- A coroutine can't begin with a function that is not Lua's own, nor
	-- yield from one that it calls last.
	local co = create(function(...) return select(1, f(...)) end)
	return step(co, resume(co, ...))
end
function xpcall(f, handler, ...)
	local function finish(ok, ...)
		if ok then return true, ... end
		return false, handler(...)
	end
	return finish(pcall(f, ...))
end
local error = error
local function asserting(level)
	return function(ok, message, ...)
		if ok then return ok, message, ... end
		error(message == nil and "assertion failed!" or message, level)
	end
end
assert = asserting(2)
_G["(assert)"] = asserting(0)
table.unpack = unpack
function table.pack(...) return {n = select("#", ...), ...} end
function table.move(from, first, last, to, into)
	into = into or from
	if to > first then
		for i = last - first, 0, -1 do into[to + i] = from[first + i] end
	else
		for i = 0, last - first do into[to + i] = from[first + i] end
	end
	return into
end
local rep = string.rep
function string.rep(s, n, sep)
	if sep == nil or n < 2 then return rep(s, n) end
	return rep(s .. sep, n - 1) .. s
end
`

// openLibs opens the libraries that a script may use.
func (v *vm) openLibs() {
	l := v.l
	for name, open := range map[string]lua.LGFunction{
		lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable, lua.StringLibName: lua.OpenString,
		lua.MathLibName: lua.OpenMath, lua.CoroutineLibName: lua.OpenCoroutine, lua.OsLibName: lua.OpenOs, lua.DebugLibName: lua.OpenDebug,
	} {
		l.Push(l.NewFunction(open))
		l.Push(lua.LString(name))
		l.Call(1, 0)
	}
	for _, name := range []string{"dofile", "loadfile", "require", "module", "collectgarbage", "_printregs", "newproxy", "_GOPHER_LUA_VERSION"} {
		l.SetGlobal(name, lua.LNil)
	}
	system := l.GetGlobal("os").(*lua.LTable)
	l.SetGlobal(returnFunc, l.GetGlobal("select"))
	safe := l.NewTable()
	for _, name := range []string{"clock", "date", "difftime", "getenv", "time"} {
		safe.RawSetString(name, system.RawGetString(name))
	}
	l.SetGlobal("os", safe)
	traces := l.NewTable()
	traces.RawSetString("traceback", l.GetField(l.GetGlobal("debug"), "traceback"))
	l.SetGlobal("debug", traces)
	l.SetGlobal("print", l.NewFunction(func(l *lua.LState) int {
		l.Replace(1, l.ToStringMeta(l.CheckAny(1)))
		return logTo(v.log, l, levelInfo, 1)
	}))
	plain := l.GetGlobal("tostring")
	l.SetGlobal("tostring", l.NewFunction(func(l *lua.LState) int {
		if n, ok := l.Get(1).(lua.LNumber); ok {
			return push(l, lua.LString(formatNumber(float64(n))))
		}
		arg := l.CheckAny(1)
		l.Push(plain)
		l.Push(arg)
		l.Call(1, 1)
		return 1
	}))
	l.SetGlobal(numberFunc, l.NewFunction(func(l *lua.LState) int {
		if n, ok := l.Get(1).(lua.LNumber); ok {
			return push(l, lua.LString(formatNumber(float64(n))))
		}
		return push(l, l.Get(1))
	}))
	v.openLuaJIT()
	v.limitCoroutines()
	v.iterateWrappers()
	chunk, err := l.LoadString(prelude)
	if err == nil {
		l.Push(chunk)
		l.Push(l.NewFunction(inWords))
		err = l.PCall(1, 0, nil)
	}
	if err != nil {
		panic("lua: the prelude: " + err.Error()) // it is a constant
	}
}

// limitCoroutines has the coroutines that scripts make run under the machine's
// context: see thread.
func (v *vm) limitCoroutines() {
	lib := v.l.GetGlobal("coroutine").(*lua.LTable)
	create := lib.RawGetString("create")
	lib.RawSetString("create", v.l.NewFunction(func(l *lua.LState) int {
		fn := l.CheckFunction(1)
		l.RemoveContext()
		l.Push(create)
		l.Push(fn)
		l.Call(1, 1)
		l.SetContext(v.ctx)
		l.Get(-1).(*lua.LState).SetContext(v.ctx)
		return 1
	}))
	if err := v.l.DoString(`
		local create, resume = coroutine.create, coroutine.resume
		function coroutine.create(f) return create(function(...) return select(1, f(...)) end) end
		local function check(ok, ...) if not ok then error((...), 0) end return ... end
		function coroutine.wrap(f) local co = coroutine.create(f) return function(...) return check(resume(co, ...)) end end
	`); err != nil {
		panic("lua: the coroutine library: " + err.Error())
	}
}

// iterateWrappers has pairs accept the wrappers that can be iterated over.
func (v *vm) iterateWrappers() {
	plain := v.l.GetGlobal("pairs")
	v.l.SetGlobal("pairs", v.l.NewFunction(func(l *lua.LState) int {
		if u, ok := l.Get(1).(*lua.LUserData); ok {
			if it, ok := u.Value.(iterable); ok {
				l.Push(l.NewFunction(it.iterator(l)))
				return 1
			}
		}
		arg, f := l.Get(1), plain
		if own := l.GetMetaField(arg, "__pairs"); own != lua.LNil {
			f = own
		}
		l.Push(f)
		l.Push(arg)
		l.Call(1, 3)
		return 3
	}))
}

// iterable is a wrapper that pairs can go through.
type iterable interface {
	iterator(l *lua.LState) lua.LGFunction
}
