package protos

import (
	"errors"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/weirproxy/weir/internal/field"
)

// violation is what the generated Validate methods return, one for each level
// from the message down to the field.
type violation interface {
	Field() string // Go name, with index or key: "Clusters[3]"
	Reason() string
	Cause() error
}

// Validate checks m, which is at path, by the rules in its proto. The error is
// the first violation. What is inside Any fields is not looked at: factories
// do that with [Unpack].
func Validate(path field.Path, m proto.Message) error {
	v, ok := m.(interface{ Validate() error })
	if !ok {
		return nil
	}
	err := v.Validate()
	if err == nil {
		return nil
	}
	d := m.ProtoReflect().Descriptor()
	reason := err.Error()
	for {
		var at violation
		if !errors.As(err, &at) {
			break
		}
		path, d = descend(path, d, at.Field())
		reason = at.Reason()
		if err = at.Cause(); err == nil {
			break
		}
	}
	return path.Errorf("%s", reason)
}

// descend is the path and the type of the field with the given Go name, which
// ends in [index] for elements of lists and maps.
func descend(path field.Path, d protoreflect.MessageDescriptor, goName string) (field.Path, protoreflect.MessageDescriptor) {
	name, index, isElement := strings.Cut(goName, "[")
	fd := fieldByGoName(d, name)
	if fd == nil {
		path = path.Dot(name)
		d = nil
	} else {
		path = path.Dot(string(fd.Name()))
		if d = fd.Message(); fd.IsMap() {
			d = fd.MapValue().Message()
		}
	}
	if isElement {
		path += field.Path("[" + index)
	}
	return path, d
}

// fieldByGoName finds a field by the name that protoc-gen-go gives it; oneofs
// count too, for the rule that one must be set.
func fieldByGoName(d protoreflect.MessageDescriptor, goName string) protoreflect.FieldDescriptor {
	if d == nil {
		return nil
	}
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		if strings.EqualFold(strings.ReplaceAll(string(f.Name()), "_", ""), strings.ReplaceAll(goName, "_", "")) {
			return f
		}
	}
	return nil
}
