package lua

import (
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
	v.methods(publicKeyType, nil)
	v.methods(metadataSourceType, metadataSourceMethods)
	resolution := v.l.NewTable()
	resolution.RawSetString("MILLISECOND", lua.LNumber(0))
	resolution.RawSetString("MICROSECOND", lua.LNumber(1))
	v.l.SetGlobal("EnvoyTimestampResolution", resolution)
}

func (v *vm) methods(name string, list map[string]lua.LGFunction) {
	index := v.l.NewTable()
	for n, f := range list {
		index.RawSetString(n, v.l.NewFunction(f))
	}
	mt := v.l.NewTable()
	mt.RawSetString("__index", index)
	mt.RawSetString("__metatable", lua.LString(name))
	v.metatables[name] = mt
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
