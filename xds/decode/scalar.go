package decode

import (
	"encoding/base64"
	"errors"
	"math"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// scalar reads one value that is not a message.
func (t *transcoder) scalar(f *fieldType) error {
	switch c := t.peek(); {
	case c == '"':
		s, err := t.str()
		if err != nil {
			return err
		}
		return t.text(f, s)
	case c == '-' || c >= '0' && c <= '9':
		if f.kind == protoreflect.StringKind || f.kind == protoreflect.BytesKind || f.kind == protoreflect.BoolKind {
			return t.mismatch(wants(f.kind))
		}
		n, err := t.number()
		if err != nil {
			return err
		}
		return t.text(f, n)
	case (c == 't' || c == 'f') && f.kind == protoreflect.BoolKind:
		if c == 'f' {
			t.varint(f, 0)
			return t.word("false")
		}
		t.varint(f, 1)
		return t.word("true")
	case c == 'n' && f.takesNull():
		t.varint(f, 0)
		return t.word("null")
	}
	return t.mismatch(wants(f.kind))
}

// wants names what a kind is written as, for errors.
func wants(k protoreflect.Kind) string {
	switch k {
	case protoreflect.BoolKind:
		return "a boolean"
	case protoreflect.StringKind:
		return "a string"
	case protoreflect.BytesKind:
		return "a string in base64"
	case protoreflect.EnumKind:
		return "an enum value"
	}
	return "a number"
}

// text appends the field with the value written as s: a JSON string's content,
// a number or a map's key.
func (t *transcoder) text(f *fieldType, s []byte) error {
	switch f.kind {
	case protoreflect.StringKind:
		t.out = protowire.AppendTag(t.out, f.num, protowire.BytesType)
		t.out = protowire.AppendBytes(t.out, s)
	case protoreflect.BytesKind:
		b, err := unbase64(string(s))
		if err != nil {
			return t.errorf("not base64: %w", err)
		}
		t.out = protowire.AppendTag(t.out, f.num, protowire.BytesType)
		t.out = protowire.AppendBytes(t.out, b)
	case protoreflect.BoolKind:
		switch string(s) {
		case "true":
			t.varint(f, 1)
		case "false":
			t.varint(f, 0)
		default:
			return t.errorf("want true or false, found %q", s)
		}
	case protoreflect.EnumKind:
		return t.enum(f, s)
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return t.float(f, s)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return t.unsigned(f, s, 32)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return t.unsigned(f, s, 64)
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return t.signed(f, s, 32)
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return t.signed(f, s, 64)
	default:
		return t.errorf("weir cannot read fields of kind %s", f.kind)
	}
	return nil
}

func (t *transcoder) varint(f *fieldType, v uint64) {
	t.out = protowire.AppendTag(t.out, f.num, protowire.VarintType)
	t.out = protowire.AppendVarint(t.out, v)
}

// enum takes a name in any case, or a number.
func (t *transcoder) enum(f *fieldType, s []byte) error {
	values := f.enumValues()
	n, ok := values[string(s)]
	if !ok {
		n, ok = values[strings.ToUpper(string(s))]
	}
	if ok {
		t.varint(f, uint64(n))
		return nil
	}
	v, err := strconv.ParseInt(string(s), 10, 32)
	if err != nil {
		return t.errorf("%q is not a value of %s", s, f.desc.Enum().FullName())
	}
	t.varint(f, uint64(v))
	return nil
}

func (t *transcoder) unsigned(f *fieldType, s []byte, bits int) error {
	v, err := strconv.ParseUint(string(s), 10, bits)
	if errors.Is(err, strconv.ErrSyntax) { // 1.0, 1e3, -0
		x, ferr := strconv.ParseFloat(string(s), 64)
		if ferr == nil && x == math.Trunc(x) && x >= 0 && x < math.Ldexp(1, bits) {
			v, err = uint64(x), nil
		}
	}
	if err != nil {
		return t.errorf("%q is not an unsigned %d-bit integer", s, bits)
	}
	t.integer(f, v, v)
	return nil
}

func (t *transcoder) signed(f *fieldType, s []byte, bits int) error {
	v, err := strconv.ParseInt(string(s), 10, bits)
	if errors.Is(err, strconv.ErrSyntax) {
		x, ferr := strconv.ParseFloat(string(s), 64)
		if limit := math.Ldexp(1, bits-1); ferr == nil && x == math.Trunc(x) && x >= -limit && x < limit {
			v, err = int64(x), nil
		}
	}
	if err != nil {
		return t.errorf("%q is not a %d-bit integer", s, bits)
	}
	t.integer(f, uint64(v), protowire.EncodeZigZag(v))
	return nil
}

// integer appends v, or its zigzag form where the kind wants that.
func (t *transcoder) integer(f *fieldType, v, zigzag uint64) {
	if f.kind == protoreflect.Sint32Kind || f.kind == protoreflect.Sint64Kind {
		v = zigzag
	}
	switch wire := f.wire(); wire {
	case protowire.Fixed32Type:
		t.out = protowire.AppendFixed32(protowire.AppendTag(t.out, f.num, wire), uint32(v))
	case protowire.Fixed64Type:
		t.out = protowire.AppendFixed64(protowire.AppendTag(t.out, f.num, wire), v)
	default:
		t.varint(f, v)
	}
}

func (t *transcoder) float(f *fieldType, s []byte) error {
	bits := 64
	if f.kind == protoreflect.FloatKind {
		bits = 32
	}
	v, err := parseFloat(string(s), bits)
	if err != nil {
		return t.errorf("%q is not a number", s)
	}
	if bits == 32 {
		t.out = protowire.AppendFixed32(protowire.AppendTag(t.out, f.num, protowire.Fixed32Type), math.Float32bits(float32(v)))
	} else {
		t.out = protowire.AppendFixed64(protowire.AppendTag(t.out, f.num, protowire.Fixed64Type), math.Float64bits(v))
	}
	return nil
}

// parseFloat takes what the JSON mapping of protobuf takes, which is less than
// strconv does (no hexadecimal, no underscores, no "inf").
func parseFloat(s string, bits int) (float64, error) {
	switch s {
	case "NaN":
		return math.NaN(), nil
	case "Infinity":
		return math.Inf(1), nil
	case "-Infinity":
		return math.Inf(-1), nil
	}
	if strings.Trim(s, "+-.0123456789eE") != "" {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseFloat(s, bits)
}

// unbase64 takes the standard and the URL alphabet, padded or not.
func unbase64(s string) ([]byte, error) {
	enc := base64.RawStdEncoding
	if strings.ContainsAny(s, "-_") {
		enc = base64.RawURLEncoding
	}
	return enc.DecodeString(strings.TrimRight(s, "="))
}
