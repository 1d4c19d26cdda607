package lua

import (
	"math"
	"math/bits"
	"regexp"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// openLuaJIT opens what LuaJIT has and gopher-lua lacks: the library bit, and
// numbers as it reads them.
func (v *vm) openLuaJIT() {
	l := v.l
	lib := l.NewTable()
	for name, f := range bitFunctions {
		lib.RawSetString(name, l.NewFunction(f))
	}
	l.SetGlobal("bit", lib)
	l.GetGlobal("math").(*lua.LTable).RawSetString("huge", lua.LNumber(math.Inf(1)))
	l.SetGlobal("error", l.NewFunction(raise))
	plain := l.GetGlobal("tonumber")
	l.SetGlobal("tonumber", l.NewFunction(func(l *lua.LState) int {
		if text, ok := l.Get(1).(lua.LString); ok && l.GetTop() == 1 {
			return push(l, readNumber(string(text)))
		}
		given := l.GetTop()
		l.Push(plain)
		for i := 1; i <= given; i++ {
			l.Push(l.Get(i))
		}
		l.Call(given, 1)
		return 1
	}))
}

// raise is error. Levels above one are gopher-lua's less one.
func raise(l *lua.LState) int {
	what, level := l.Get(1), l.OptInt(2, 1)
	if n, ok := what.(lua.LNumber); ok {
		what = lua.LString(formatNumber(float64(n)))
	}
	if level > 1 {
		level++
	}
	l.Error(what, level)
	return 0
}

var decimal = regexp.MustCompile(`^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$`)

// readNumber is the number that a text spells, or nil.
func readNumber(text string) lua.LValue {
	text = strings.Trim(text, " \t\n\v\f\r")
	if decimal.MatchString(text) {
		n, _ := strconv.ParseFloat(text, 64) // too large a number is infinite
		return lua.LNumber(n)
	}
	digits, negative := strings.CutPrefix(text, "-")
	if len(digits) < 3 || digits[0] != '0' || digits[1]|0x20 != 'x' {
		return lua.LNil
	}
	n, err := strconv.ParseUint(digits[2:], 16, 64)
	if err != nil {
		return lua.LNil
	}
	if negative {
		return lua.LNumber(-float64(n))
	}
	return lua.LNumber(n)
}

// bitFunctions are the library bit, on numbers of 32 bits (bitop.luajit.org).
var bitFunctions = map[string]lua.LGFunction{
	"tobit":   func(l *lua.LState) int { return pushBits(l, checkBits(l, 1)) },
	"bnot":    func(l *lua.LState) int { return pushBits(l, ^checkBits(l, 1)) },
	"bswap":   func(l *lua.LState) int { return pushBits(l, bits.ReverseBytes32(checkBits(l, 1))) },
	"band":    foldBits(func(a, b uint32) uint32 { return a & b }),
	"bor":     foldBits(func(a, b uint32) uint32 { return a | b }),
	"bxor":    foldBits(func(a, b uint32) uint32 { return a ^ b }),
	"lshift":  shiftBits(func(x uint32, n int) uint32 { return x << n }),
	"rshift":  shiftBits(func(x uint32, n int) uint32 { return x >> n }),
	"arshift": shiftBits(func(x uint32, n int) uint32 { return uint32(int32(x) >> n) }),
	"rol":     shiftBits(func(x uint32, n int) uint32 { return bits.RotateLeft32(x, n) }),
	"ror":     shiftBits(func(x uint32, n int) uint32 { return bits.RotateLeft32(x, -n) }),
	"tohex":   bitsToHex,
}

func checkBits(l *lua.LState, i int) uint32 {
	return uint32(int64(math.RoundToEven(math.Mod(float64(l.CheckNumber(i)), 1<<32))))
}

func pushBits(l *lua.LState, x uint32) int { return push(l, lua.LNumber(int32(x))) }

func foldBits(f func(a, b uint32) uint32) lua.LGFunction {
	return func(l *lua.LState) int {
		x := checkBits(l, 1)
		for i := 2; i <= l.GetTop(); i++ {
			x = f(x, checkBits(l, i))
		}
		return pushBits(l, x)
	}
}

func shiftBits(f func(x uint32, n int) uint32) lua.LGFunction {
	return func(l *lua.LState) int { return pushBits(l, f(checkBits(l, 1), int(checkBits(l, 2)&31))) }
}

// bitsToHex writes the lowest n digits, 8 unless it is told; in capitals when n
// is negative.
func bitsToHex(l *lua.LState) int {
	n := l.OptInt(2, 8)
	const zeros = "00000000"
	text := strconv.FormatUint(uint64(checkBits(l, 1)), 16)
	text = zeros[:8-len(text)] + text
	if n < 0 {
		text, n = strings.ToUpper(text), -n
	}
	return push(l, lua.LString(text[8-min(n, 8):]))
}

// ownPlaces are the places in weir's own Lua that gopher-lua has put in front
// of messages.
var ownPlaces = regexp.MustCompile(`^<string>:\d+: `)

// words are gopher-lua's messages, as far as LuaJIT's can be made of them: that
// says which variable a value is of, too.
var words = []struct {
	gopher *regexp.Regexp
	luaJIT string
}{
	{regexp.MustCompile(`(bad argument #\d+ to )(\w+) \(`), "$1'$2' ("},
	{regexp.MustCompile(`attempt to call a non-function object`), "attempt to call a nil value"},
	{regexp.MustCompile(`cannot perform concat operation between (\w+) and (?:string|number)$`), "attempt to concatenate a $1 value"},
	{regexp.MustCompile(`cannot perform concat operation between \w+ and (\w+)$`), "attempt to concatenate a $1 value"},
	{regexp.MustCompile(`cannot perform \w+ operation between number and (\w+)$`), "attempt to perform arithmetic on a $1 value"},
	{regexp.MustCompile(`cannot perform \w+ operation between (\w+) and \w+$`), "attempt to perform arithmetic on a $1 value"},
}

// inWords is an error as LuaJIT words it.
func inWords(l *lua.LState) int {
	said, ok := l.Get(1).(lua.LString)
	if !ok {
		return push(l, l.Get(1))
	}
	text := ownPlaces.ReplaceAllString(string(said), "")
	for _, w := range words {
		text = w.gopher.ReplaceAllString(text, w.luaJIT)
	}
	return push(l, lua.LString(text))
}
