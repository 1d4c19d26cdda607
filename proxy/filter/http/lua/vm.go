package lua

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/parse"
)

// script is a compiled script, and its machine on each worker.
type script struct {
	proto *lua.FunctionProto
	log   *slog.Logger // of what it prints
	vms   []*vm        // by worker, made at the first use
}

// load compiles a script and runs it in a machine that is then thrown away.
func load(text string, log *slog.Logger) (*script, error) {
	name := shortName(text)
	chunk, err := parse.Parse(strings.NewReader(decimalEscapes(text)), name)
	if err != nil {
		return nil, err
	}
	proto, err := lua.Compile(rewrite(chunk), name)
	if err != nil {
		return nil, err
	}
	s := &script{proto: proto, log: log}
	v, err := s.newVM()
	if err != nil {
		return nil, err
	}
	v.l.Close()
	return s, nil
}

// shortName is what LuaJIT calls a script in messages: its first line, up to 48
// bytes.
func shortName(text string) string {
	n := strings.IndexFunc(text, func(r rune) bool { return r < ' ' })
	if n < 0 {
		n = len(text)
	}
	if n <= 48 && n == len(text) {
		return `[string "` + text + `"]`
	}
	return `[string "` + text[:min(n, 45)] + `..."]`
}

// vm is the worker's machine for the script. A machine that a runaway script
// was stopped in is replaced.
func (s *script) vm(worker int) (*vm, error) {
	if v := s.vms[worker]; v != nil && v.ctx.Err() == nil {
		return v, nil
	}
	v, err := s.newVM()
	if err == nil {
		s.vms[worker] = v
	}
	return v, err
}

// vm is one Lua state, used by one worker.
type vm struct {
	l                 *lua.LState
	log               *slog.Logger
	request, response *lua.LFunction // nil when the script has none
	ctx               context.Context
	stop              context.CancelFunc
	began             atomic.Int64 // when the script that runs began, UNIX ns; 0: none runs
	watched           atomic.Bool
	metatables        map[string]*lua.LTable
}

const (
	// maxRun is how long a script may compute without waiting for anything.
	maxRun = 500 * time.Millisecond
	// maxRegistry bounds a coroutine's stack, in values.
	maxRegistry = 64 << 10
)

func (s *script) newVM() (*vm, error) {
	v := &vm{log: s.log, metatables: map[string]*lua.LTable{}}
	v.l = lua.NewState(lua.Options{SkipOpenLibs: true, RegistryMaxSize: maxRegistry, RegistrySize: 1 << 10, CallStackSize: 1 << 10, MinimizeStackMemory: true})
	v.ctx, v.stop = context.WithCancel(context.Background())
	v.l.SetContext(v.ctx)
	v.openLibs()
	v.register()
	v.l.Push(v.l.NewFunctionFromProto(s.proto))
	if err := v.run(func() error { return v.l.PCall(0, 0, nil) }); err != nil {
		v.l.Close()
		return nil, err
	}
	v.request, _ = v.l.GetGlobal("envoy_on_request").(*lua.LFunction)
	v.response, _ = v.l.GetGlobal("envoy_on_response").(*lua.LFunction)
	return v, nil
}

// run runs f under the watchdog.
func (v *vm) run(f func() error) (err error) {
	v.began.Store(time.Now().UnixNano())
	if v.watched.CompareAndSwap(false, true) {
		go v.watch()
	}
	defer func() {
		v.began.Store(0)
		// The machine's own limits, such as its stack, end in a panic.
		if p := recover(); p != nil {
			v.stop()
			err = errors.New("the script has overrun the machine")
		}
	}()
	return f()
}

// watch stops a script that runs too long. It ends once the machine has been
// idle for a while.
func (v *vm) watch() {
	idle := 0
	for idle < 20 {
		time.Sleep(maxRun / 5)
		switch began := v.began.Load(); {
		case began == 0:
			idle++
		case time.Since(time.Unix(0, began)) > maxRun:
			v.stop()
			return
		default:
			idle = 0
		}
	}
	v.watched.Store(false)
}

// thread makes a coroutine. It is not to have a context of its own, which
// would stay with its parent's for ever.
func (v *vm) thread() *lua.LState {
	v.l.RemoveContext()
	th, _ := v.l.NewThread()
	v.l.SetContext(v.ctx)
	th.SetContext(v.ctx)
	return th
}
