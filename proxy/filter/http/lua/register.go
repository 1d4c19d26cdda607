package lua

import (
	"regexp"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// The types of wrappers, by the names of their metatables.
const (
	handleType         = "handle"
	headersType        = "headers"
	bodyType           = "body"
	infoType           = "streamInfo"
	dynamicType        = "dynamicMetadata"
	metadataType       = "metadata"
	connectionType     = "connection"
	sslType            = "ssl"
	filterStateType    = "filterState"
	publicKeyType      = "publicKey"
	metadataSourceType = "metadataSource"
	subjectType        = "subject"

	connectionInfoType     = "connectionStreamInfo"
	connectionMetadataType = "connectionMetadata"
)

// register makes the metatables of all wrappers.
func (v *vm) register() {
	v.methods(handleType, handleMethods)
	v.methods(headersType, headersMethods)
	v.methods(bodyType, bodyMethods)
	v.methods(infoType, infoMethods)
	v.methods(dynamicType, dynamicMethods)
	v.methods(metadataType, metadataMethods)
	v.methods(connectionType, connectionMethods)
	v.methods(sslType, sslMethods)
	v.methods(filterStateType, filterStateMethods)
	v.methods(subjectType, subjectMethods)
	v.methods(connectionInfoType, connectionInfoMethods)
	v.methods(connectionMetadataType, connectionMetadataMethods)
	v.methods(publicKeyType, publicKeyMethods)
	v.methods(metadataSourceType, metadataSourceMethods)
	resolution := v.l.NewTable()
	resolution.RawSetString("MILLISECOND", lua.LNumber(0))
	resolution.RawSetString("MICROSECOND", lua.LNumber(1))
	v.l.SetGlobal("EnvoyTimestampResolution", resolution)
}

func (v *vm) methods(name string, list map[string]lua.LGFunction) {
	index := v.l.NewTable()
	for n, f := range list {
		index.RawSetString(n, v.l.NewFunction(argumentErrors(f)))
	}
	mt := v.l.NewTable()
	mt.RawSetString("__index", index)
	mt.RawSetString("__metatable", lua.LString(name))
	v.metatables[name] = mt
}

// argumentErrors is f with LuaJIT's words for a wrong argument: it knows no
// method's name, and tells a missing value from nil.
func argumentErrors(f lua.LGFunction) lua.LGFunction {
	return func(l *lua.LState) int {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if e, ok := p.(*lua.ApiError); ok {
				if text, ok := e.Object.(lua.LString); ok {
					e.Object = lua.LString(argumentError(string(text), l.GetTop()-1)) // the text is on the stack, too
				}
			}
			panic(p)
		}()
		return f(l)
	}
}

var badArgument = regexp.MustCompile(`bad argument #(\d+) to (\w+) \(`)

func argumentError(text string, given int) string {
	m := badArgument.FindStringSubmatchIndex(text)
	if m == nil {
		return text
	}
	if n, _ := strconv.Atoi(text[m[2]:m[3]]); n > given {
		text = strings.Replace(text, "got nil)", "got no value)", 1)
	}
	return text[:m[4]] + "'?'" + text[m[5]:]
}

// wrap makes a wrapper of x.
func (v *vm) wrap(l *lua.LState, kind string, x any) lua.LValue {
	u := l.NewUserData()
	u.Value, u.Metatable = x, v.metatables[kind]
	return u
}

// owned is a wrapper that dies with its side.
type owned interface{ owner() *side }

func (s *side) owner() *side { return s }

// self is a method's receiver, which must still be alive.
func self[T owned](l *lua.LState) T {
	x, ok := l.CheckUserData(1).Value.(T)
	if !ok {
		l.ArgError(1, "a wrong type of object")
	}
	if x.owner().dead {
		l.RaiseError("object used outside of proper scope")
	}
	return x
}
