// Package lua is the Lua HTTP filter (envoy.extensions.filters.http.lua.v3):
// scripts with envoy_on_request and envoy_on_response that see and change
// streams through a handle with Envoy's methods.
//
// [Maker] compiles scripts on main, once; each worker has one virtual machine
// a script ([vm]), made at the script's first use there. A stream's call of a
// script is a coroutine: where a method must wait (for the body, trailers or
// the answer to httpCall) the coroutine yields and the stream stands still,
// until what it waits for comes and it is resumed. So scripts never block the
// loop by waiting; one that computes for longer than maxRun is stopped by a
// watchdog.
//
// The machine is gopher-lua, Lua 5.1. It has base, table, string, math,
// coroutine and the harmless part of os, and neither io nor require nor
// LuaJIT's extensions: a script on the proxy has no business with files, and
// reading them would block.
//
// Of Envoy's handle it lacks drainConnectionUponCompletion; there is no typed
// metadata, and body(true) does not give a message without a body an empty one.
//
// The contract that bites: nothing that a script holds on to may point into a
// stream. Strings are copied for it, and wrappers die with their call.
package lua
