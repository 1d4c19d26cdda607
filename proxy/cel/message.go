package cel

import (
	"reflect"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// message is a protobuf message: a field that is not set has a value, too, but
// has() does not find it.
type message struct {
	get func(field string) (any, bool) // the value, and whether there is such a field
	set func(field string) bool
}

var (
	_ traits.Indexer     = message{}
	_ traits.FieldTester = message{}
)

// Get implements traits.Indexer.
func (m message) Get(field ref.Val) ref.Val {
	if name, ok := field.(types.String); ok {
		if v, known := m.get(string(name)); known {
			return types.DefaultTypeAdapter.NativeToValue(v)
		}
	}
	return types.NewErr("no such field: %v", field)
}

// IsSet implements traits.FieldTester.
func (m message) IsSet(field ref.Val) ref.Val {
	name, ok := field.(types.String)
	return types.Bool(ok && m.set(string(name)))
}

// ConvertToNative implements ref.Val.
func (m message) ConvertToNative(reflect.Type) (any, error) { return nil, errOpaque }

// ConvertToType implements ref.Val.
func (m message) ConvertToType(t ref.Type) ref.Val { return object{}.ConvertToType(t) }

// Equal implements ref.Val.
func (m message) Equal(ref.Val) ref.Val { return types.False }

// Type implements ref.Val.
func (m message) Type() ref.Type { return types.MapType }

// Value implements ref.Val.
func (m message) Value() any { return m }
