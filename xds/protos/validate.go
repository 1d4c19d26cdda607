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

// descend is the path and the type of the field or oneof with the given Go
// name, which ends in [index] for elements of lists and maps.
func descend(path field.Path, d protoreflect.MessageDescriptor, goName string) (field.Path, protoreflect.MessageDescriptor) {
	goName, index, isElement := strings.Cut(goName, "[")
	name, inner := lookUp(d, goName)
	path = path.Dot(name)
	if isElement {
		path += field.Path("[" + index)
	}
	return path, inner
}

// lookUp is the protobuf name for the name that protoc-gen-go made of it, and
// the type of the message in the field if it is one.
func lookUp(d protoreflect.MessageDescriptor, goName string) (string, protoreflect.MessageDescriptor) {
	if d == nil {
		return goName, nil
	}
	for i := range d.Fields().Len() {
		if f := d.Fields().Get(i); isGoName(f.Name(), goName) {
			if f.IsMap() {
				f = f.MapValue()
			}
			return string(d.Fields().Get(i).Name()), f.Message()
		}
	}
	for i := range d.Oneofs().Len() {
		if name := d.Oneofs().Get(i).Name(); isGoName(name, goName) {
			return string(name), nil
		}
	}
	return goName, nil
}

func isGoName(name protoreflect.Name, goName string) bool {
	return strings.EqualFold(strings.ReplaceAll(string(name), "_", ""), strings.ReplaceAll(goName, "_", ""))
}
