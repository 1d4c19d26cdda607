package protos

import (
	"errors"
	"strings"

	udpav1 "github.com/cncf/xds/go/udpa/type/v1"
	xdsv3 "github.com/cncf/xds/go/xds/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/xds/decode"
)

// Unpack reads the message in a, which is at path, into into and validates it.
// A TypedStruct (udpa.type.v1, xds.type.v3) is read as the type that it names.
// It is an error if a is nil or of another type than into.
func Unpack(path field.Path, a *anypb.Any, into proto.Message) error {
	if err := UnpackUnchecked(path, a, into); err != nil {
		return err
	}
	return Validate(path, into)
}

// UnpackUnchecked is Unpack without Validate, for messages whose rules Envoy
// does not hold to.
func UnpackUnchecked(path field.Path, a *anypb.Any, into proto.Message) error {
	inner, fields, err := open(path, a)
	if err != nil {
		return err
	}
	want := into.ProtoReflect().Descriptor().FullName()
	if got := typeName(inner.GetTypeUrl()); got != string(want) {
		return path.Errorf("want a %s, found %q", want, inner.GetTypeUrl())
	}
	if fields != nil {
		err = fromStruct(path, fields, into)
	} else if err = proto.Unmarshal(inner.GetValue(), into); err != nil {
		err = path.Errorf("%s: %w", want, err)
	}
	if err != nil {
		return err
	}
	return nil
}

// UnpackAs is Unpack into a new T:
//
//	cfg, err := protos.UnpackAs[*routerv3.Router](path, any)
func UnpackAs[T proto.Message](path field.Path, a *anypb.Any) (T, error) {
	var zero T
	m := zero.ProtoReflect().Type().New().Interface().(T)
	if err := Unpack(path, a, m); err != nil {
		return zero, err
	}
	return m, nil
}

// TypeName is the full name of the message in a, through a TypedStruct:
// "envoy.extensions.filters.http.router.v3.Router". It is what factories are
// found by; "" for a nil or broken Any.
func TypeName(a *anypb.Any) string {
	inner, _, err := open("", a)
	if err != nil {
		return ""
	}
	return typeName(inner.GetTypeUrl())
}

func typeName(url string) string { return url[strings.LastIndexByte(url, '/')+1:] }

// open is a itself, or for a TypedStruct an Any with the type URL that it
// names and the fields that it holds.
func open(path field.Path, a *anypb.Any) (*anypb.Any, *structpb.Struct, error) {
	if a.GetTypeUrl() == "" {
		return nil, nil, path.Errorf("not set")
	}
	var typed interface {
		proto.Message
		GetTypeUrl() string
		GetValue() *structpb.Struct
	}
	switch typeName(a.TypeUrl) {
	case "udpa.type.v1.TypedStruct":
		typed = new(udpav1.TypedStruct)
	case "xds.type.v3.TypedStruct":
		typed = new(xdsv3.TypedStruct)
	default:
		return a, nil, nil
	}
	if err := proto.Unmarshal(a.Value, typed); err != nil {
		return nil, nil, path.Errorf("TypedStruct: %w", err)
	}
	fields := typed.GetValue()
	if fields == nil {
		fields = &structpb.Struct{}
	}
	if typed.GetTypeUrl() == "" {
		return nil, nil, path.Errorf("TypedStruct: no type_url")
	}
	return &anypb.Any{TypeUrl: typed.GetTypeUrl()}, fields, nil
}

func fromStruct(path field.Path, fields *structpb.Struct, into proto.Message) error {
	json, err := fields.MarshalJSON()
	if err != nil {
		return path.Errorf("TypedStruct: %w", err)
	}
	err = decode.Unmarshal(json, decode.JSON, into)
	var de *decode.Error
	if errors.As(err, &de) && de.Path != "" {
		return (path + "." + de.Path).Wrap(de.Err)
	}
	return path.Wrap(err)
}

// Fields are those of the TypedStruct in a, which is at path: for types that
// weir has no protobuf of. It is an error if a is no TypedStruct.
func Fields(path field.Path, a *anypb.Any) (map[string]any, error) {
	_, fields, err := open(path, a)
	if err != nil {
		return nil, err
	}
	if fields == nil {
		return nil, path.Errorf("want a TypedStruct, found %q", a.GetTypeUrl())
	}
	return fields.AsMap(), nil
}
