package admin

import (
	"github.com/cncf/xds/go/udpa/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
)

const redacted = "[redacted]"

// Redact replaces, in place, every field that the protos annotate as sensitive
// (udpa.annotations.sensitive: private keys, passwords, tokens), at any depth
// and inside Anys, as Envoy does: strings and bytes become "[redacted]", other
// values are cleared. An Any of a type that isn't linked in can't be looked
// into, so its content goes as a whole.
func Redact(m proto.Message) { redactMessage(m.ProtoReflect(), false) }

func redactMessage(m protoreflect.Message, sensitive bool) {
	if packed, ok := m.Interface().(*anypb.Any); ok {
		redactAny(packed, sensitive)
		return
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		hide := sensitive || isSensitive(fd)
		switch {
		case fd.IsMap():
			redactMap(m, fd, v.Map(), hide)
		case fd.IsList():
			redactList(m, fd, v.List(), hide)
		case fd.Message() != nil:
			redactMessage(v.Message(), hide)
		case hide:
			redactScalar(m, fd)
		}
		return true
	})
}

func isSensitive(fd protoreflect.FieldDescriptor) bool {
	return proto.GetExtension(fd.Options(), annotations.E_Sensitive).(bool)
}

// hidden is what a sensitive value becomes; false: it is cleared.
func hidden(fd protoreflect.FieldDescriptor) (protoreflect.Value, bool) {
	switch fd.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(redacted), true
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(redacted)), true
	default:
		return protoreflect.Value{}, false
	}
}

func redactScalar(m protoreflect.Message, fd protoreflect.FieldDescriptor) {
	if v, ok := hidden(fd); ok {
		m.Set(fd, v)
	} else {
		m.Clear(fd)
	}
}

func redactList(m protoreflect.Message, fd protoreflect.FieldDescriptor, list protoreflect.List, hide bool) {
	v, ok := hidden(fd)
	switch {
	case fd.Message() != nil:
		for i := range list.Len() {
			redactMessage(list.Get(i).Message(), hide)
		}
	case hide && ok:
		for i := range list.Len() {
			list.Set(i, v)
		}
	case hide:
		m.Clear(fd)
	}
}

func redactMap(m protoreflect.Message, fd protoreflect.FieldDescriptor, values protoreflect.Map, hide bool) {
	v, ok := hidden(fd.MapValue())
	switch {
	case fd.MapValue().Message() != nil:
		values.Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
			redactMessage(v.Message(), hide)
			return true
		})
	case hide && ok:
		values.Range(func(k protoreflect.MapKey, _ protoreflect.Value) bool {
			values.Set(k, v)
			return true
		})
	case hide:
		m.Clear(fd)
	}
}

func redactAny(packed *anypb.Any, sensitive bool) {
	inner, err := packed.UnmarshalNew()
	if err != nil {
		inner = &structpb.Struct{Fields: map[string]*structpb.Value{
			"unknown_type": structpb.NewStringValue(packed.GetTypeUrl()),
			"value":        structpb.NewStringValue(redacted),
		}}
	} else {
		redactMessage(inner.ProtoReflect(), sensitive)
	}
	// Envoy's type URLs may have another prefix than the default one.
	url := packed.GetTypeUrl()
	if repacked, e := anypb.New(inner); e == nil {
		packed.TypeUrl, packed.Value = repacked.TypeUrl, repacked.Value
		if err == nil {
			packed.TypeUrl = url
		}
	}
}
