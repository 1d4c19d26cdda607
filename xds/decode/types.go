package decode

import (
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// message is a message type as the transcoder needs it: made from the
// descriptor the first time that a document uses the type.
type message struct {
	name   protoreflect.FullName
	fields map[string]*fieldType // by protobuf name and by JSON name
	read   func(*transcoder, *message) error
	wraps  *fieldType // the value of a wrapper type
}

type fieldType struct {
	name   string // protobuf name
	num    protowire.Number
	index  int // in its message, for "set twice"
	kind   protoreflect.Kind
	list   bool
	oneof  string // name of its oneof, or ""
	group  int    // index of its oneof + 1, or 0
	desc   protoreflect.FieldDescriptor
	msg    *message // of a message field, once it was used
	values map[string]protowire.Number
	// of a map field
	mapKey, mapValue *fieldType
}

// typeOf is the table of a message type.
func (t *transcoder) typeOf(d protoreflect.MessageDescriptor) *message {
	if m := t.types[string(d.FullName())]; m != nil {
		return m
	}
	m := &message{name: d.FullName(), fields: make(map[string]*fieldType, 2*d.Fields().Len())}
	t.types[string(m.name)] = m
	for i := range d.Fields().Len() {
		f := newField(d.Fields().Get(i))
		m.fields[f.name] = f
		m.fields[f.desc.JSONName()] = f
	}
	m.read = wellKnown(m.name)
	if m.read == nil {
		m.read = (*transcoder).plain
	} else if strings.HasSuffix(string(m.name), "Value") {
		m.wraps = m.fields["value"]
	}
	return m
}

func newField(d protoreflect.FieldDescriptor) *fieldType {
	f := &fieldType{name: string(d.Name()), num: d.Number(), index: d.Index(), kind: d.Kind(), list: d.IsList(), desc: d}
	if o := d.ContainingOneof(); o != nil && !o.IsSynthetic() {
		f.oneof, f.group = string(o.Name()), o.Index()+1
	}
	if d.IsMap() {
		f.mapKey, f.mapValue = newField(d.MapKey()), newField(d.MapValue())
	}
	return f
}

// fieldMessage is the type of a message field.
func (t *transcoder) fieldMessage(f *fieldType) *message {
	if f.msg == nil {
		f.msg = t.typeOf(f.desc.Message())
	}
	return f.msg
}

// enumValues are the names of an enum field, upper-case.
func (f *fieldType) enumValues() map[string]protowire.Number {
	if f.values == nil {
		vs := f.desc.Enum().Values()
		f.values = make(map[string]protowire.Number, vs.Len())
		for i := range vs.Len() {
			f.values[strings.ToUpper(string(vs.Get(i).Name()))] = protowire.Number(vs.Get(i).Number())
		}
	}
	return f.values
}

// wire is how a scalar kind is written.
func (f *fieldType) wire() protowire.Type {
	switch f.kind {
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
		return protowire.Fixed32Type
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		return protowire.Fixed64Type
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind:
		return protowire.BytesType
	}
	return protowire.VarintType
}
