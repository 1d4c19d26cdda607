package cel

import (
	"errors"
	"reflect"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/weirproxy/weir/proxy/http"
)

// object is a map whose values are found when they are asked for.
type object struct {
	find func(key string) (any, bool)
	size func() int // nil: unknown
}

// headers are a message's, by name.
func headers(h *http.HeaderMap) object {
	return object{
		find: func(name string) (any, bool) {
			if h == nil {
				return nil, false
			}
			return h.Joined(strings.ToLower(name))
		},
		size: func() int { // of names
			names := map[string]bool{}
			if h != nil {
				for line := range h.All {
					names[line.Name] = true
				}
			}
			return len(names)
		},
	}
}

func (o object) Find(key ref.Val) (ref.Val, bool) {
	name, ok := key.(types.String)
	if !ok {
		return nil, false
	}
	v, ok := o.find(string(name))
	if !ok {
		return nil, false
	}
	return types.DefaultTypeAdapter.NativeToValue(v), true
}

func (o object) Get(key ref.Val) ref.Val {
	if v, ok := o.Find(key); ok {
		return v
	}
	return types.NewErr("no such key: %v", key)
}

func (o object) Contains(key ref.Val) ref.Val {
	_, ok := o.Find(key)
	return types.Bool(ok)
}

var errOpaque = errors.New("an attribute can only be asked for its parts")

func (o object) ConvertToNative(reflect.Type) (any, error) { return nil, errOpaque }
func (o object) ConvertToType(t ref.Type) ref.Val {
	if t == types.TypeType {
		return types.MapType
	}
	return types.WrapErr(errOpaque)
}
func (o object) Equal(ref.Val) ref.Val { return types.False }
func (o object) Type() ref.Type        { return types.MapType }
func (o object) Value() any            { return o }
func (o object) Size() ref.Val {
	if o.size == nil {
		return types.WrapErr(errOpaque)
	}
	return types.Int(o.size())
}
func (o object) Iterator() traits.Iterator { return none{} }

// none is an iterator over nothing.
type none struct{}

func (none) ConvertToNative(reflect.Type) (any, error) { return nil, errOpaque }
func (none) ConvertToType(ref.Type) ref.Val            { return types.WrapErr(errOpaque) }
func (none) Equal(ref.Val) ref.Val                     { return types.False }
func (none) Type() ref.Type                            { return types.IteratorType }
func (none) Value() any                                { return nil }
func (none) HasNext() ref.Val                          { return types.False }
func (none) Next() ref.Val                             { return types.WrapErr(errOpaque) }

var _ traits.Mapper = object{}
