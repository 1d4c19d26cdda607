package decode

import (
	"math"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// wellKnown is the reader of a type with a JSON form of its own
// (https://protobuf.dev/programming-guides/json), nil for other types.
func wellKnown(name protoreflect.FullName) func(*transcoder, *message) error {
	switch name {
	case "google.protobuf.Any":
		return (*transcoder).any
	case "google.protobuf.Duration":
		return (*transcoder).duration
	case "google.protobuf.Timestamp":
		return (*transcoder).timestamp
	case "google.protobuf.FieldMask":
		return (*transcoder).fieldMask
	case "google.protobuf.Struct":
		return (*transcoder).structure
	case "google.protobuf.Value":
		return (*transcoder).value
	case "google.protobuf.ListValue":
		return (*transcoder).listValue
	case "google.protobuf.DoubleValue", "google.protobuf.FloatValue",
		"google.protobuf.Int64Value", "google.protobuf.UInt64Value",
		"google.protobuf.Int32Value", "google.protobuf.UInt32Value",
		"google.protobuf.BoolValue", "google.protobuf.StringValue", "google.protobuf.BytesValue":
		return (*transcoder).wrapper
	}
	return nil
}

// wrapper reads x or {value: x}.
func (t *transcoder) wrapper(m *message) error {
	if t.peek() == '{' {
		return t.plain(m)
	}
	return t.scalar(m.wraps)
}

// duration reads "1.5s" or {seconds: 1, nanos: 500000000}.
func (t *transcoder) duration(m *message) error {
	if t.peek() == '{' {
		return t.plain(m)
	}
	if t.peek() != '"' {
		return t.mismatch(`a duration such as "1.5s"`)
	}
	s, err := t.str()
	if err != nil {
		return err
	}
	seconds, nanos, ok := parseDuration(string(s))
	if !ok {
		return t.errorf(`want a duration such as "1.5s", found %q`, s)
	}
	t.secondsNanos(seconds, nanos)
	return nil
}

// secondsNanos appends the fields that Duration and Timestamp have.
func (t *transcoder) secondsNanos(seconds int64, nanos int32) {
	if seconds != 0 {
		t.out = protowire.AppendVarint(protowire.AppendTag(t.out, 1, protowire.VarintType), uint64(seconds))
	}
	if nanos != 0 {
		t.out = protowire.AppendVarint(protowire.AppendTag(t.out, 2, protowire.VarintType), uint64(int64(nanos)))
	}
}

// parseDuration reads seconds with up to nine decimals and an "s".
func parseDuration(s string) (seconds int64, nanos int32, ok bool) {
	s, ok = strings.CutSuffix(s, "s")
	if !ok {
		return 0, 0, false
	}
	s, negative := strings.CutPrefix(s, "-")
	whole, part, dot := strings.Cut(s, ".")
	if whole == "" || len(whole) > 12 || len(part) > 9 || dot && part == "" {
		return 0, 0, false
	}
	for _, c := range []byte(whole) {
		if c < '0' || c > '9' {
			return 0, 0, false
		}
		seconds = seconds*10 + int64(c-'0')
	}
	for i := range 9 {
		nanos *= 10
		if i < len(part) {
			if part[i] < '0' || part[i] > '9' {
				return 0, 0, false
			}
			nanos += int32(part[i] - '0')
		}
	}
	if negative {
		seconds, nanos = -seconds, -nanos
	}
	const max = 315_576_000_000 // 10,000 years, duration.proto
	return seconds, nanos, seconds >= -max && seconds <= max
}

func (t *transcoder) timestamp(m *message) error {
	if t.peek() == '{' {
		return t.plain(m)
	}
	if t.peek() != '"' {
		return t.mismatch("a time as in RFC 3339")
	}
	s, err := t.str()
	if err != nil {
		return err
	}
	at, err := time.Parse(time.RFC3339Nano, string(s))
	if err != nil {
		return t.errorf("want a time as in RFC 3339, found %q", s)
	}
	t.secondsNanos(at.Unix(), int32(at.Nanosecond()))
	return nil
}

// fieldMask reads "a.b,cD" or {paths: […]}.
func (t *transcoder) fieldMask(m *message) error {
	if t.peek() == '{' {
		return t.plain(m)
	}
	if t.peek() != '"' {
		return t.mismatch("a field mask")
	}
	s, err := t.str()
	if err != nil || len(s) == 0 {
		return err
	}
	for path := range strings.SplitSeq(string(s), ",") {
		t.out = protowire.AppendString(protowire.AppendTag(t.out, 1, protowire.BytesType), snakeCase(path))
	}
	return nil
}

func snakeCase(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c >= 'A' && c <= 'Z' {
			b.WriteByte('_')
			c += 'a' - 'A'
		}
		b.WriteByte(c)
	}
	return b.String()
}

// Struct, Value and ListValue (struct.proto).
const (
	structFields, entryKey, entryValue                                     = 1, 1, 2
	valueNull, valueNumber, valueString, valueBool, valueStruct, valueList = 1, 2, 3, 4, 5, 6
	listValues                                                             = 1
)

func (t *transcoder) structure(*message) error {
	if t.peek() != '{' {
		return t.mismatch("an object")
	}
	if t.depth++; t.depth > maxDepth {
		return t.errorf("%w", errTooDeep)
	}
	defer func() { t.depth-- }()
	for more, err := t.enter('{', '}'); ; more, err = t.next('}') {
		if !more {
			return err
		}
		t.at = t.pos
		key, err := t.key()
		if err != nil {
			return err
		}
		entry := t.open(structFields)
		t.out = protowire.AppendBytes(protowire.AppendTag(t.out, entryKey, protowire.BytesType), key)
		value := t.open(entryValue)
		if err := t.value(nil); err != nil {
			return err
		}
		t.close(value)
		t.close(entry)
	}
}

func (t *transcoder) listValue(*message) error {
	if t.peek() != '[' {
		return t.mismatch("a list")
	}
	if t.depth++; t.depth > maxDepth {
		return t.errorf("%w", errTooDeep)
	}
	defer func() { t.depth-- }()
	for more, err := t.enter('[', ']'); ; more, err = t.next(']') {
		if !more {
			return err
		}
		value := t.open(listValues)
		if err := t.value(nil); err != nil {
			return err
		}
		t.close(value)
	}
}

func (t *transcoder) value(*message) error {
	switch t.peek() {
	case '{':
		start := t.open(valueStruct)
		if err := t.structure(nil); err != nil {
			return err
		}
		t.close(start)
	case '[':
		start := t.open(valueList)
		if err := t.listValue(nil); err != nil {
			return err
		}
		t.close(start)
	case '"':
		s, err := t.str()
		if err != nil {
			return err
		}
		t.out = protowire.AppendBytes(protowire.AppendTag(t.out, valueString, protowire.BytesType), s)
	case 't':
		t.out = append(protowire.AppendTag(t.out, valueBool, protowire.VarintType), 1)
		return t.word("true")
	case 'f':
		t.out = append(protowire.AppendTag(t.out, valueBool, protowire.VarintType), 0)
		return t.word("false")
	case 'n':
		t.out = append(protowire.AppendTag(t.out, valueNull, protowire.VarintType), 0)
		return t.word("null")
	default:
		s, err := t.number()
		if err != nil {
			return err
		}
		v, err := parseFloat(string(s), 64)
		if err != nil {
			return t.errorf("%q is not a number", s)
		}
		t.out = protowire.AppendFixed64(protowire.AppendTag(t.out, valueNumber, protowire.Fixed64Type), math.Float64bits(v))
	}
	return nil
}

// Any (any.proto).
const anyTypeURL, anyValue = 1, 2

// any reads {"@type": url, fields…}, or {"@type": url, "value": x} for a
// well-known type.
func (t *transcoder) any(*message) error {
	if t.peek() != '{' {
		return t.mismatch(`an object with "@type"`)
	}
	url, err := t.findType()
	if err != nil {
		return err
	}
	if url == "" {
		// Envoy takes an object without any entry as no Any at all.
		if more, err := t.enter('{', '}'); !more {
			return err
		}
		return t.errorf(`no "@type"`)
	}
	name := protoreflect.FullName(url[strings.LastIndexByte(url, '/')+1:])
	mt, err := protoregistry.GlobalTypes.FindMessageByName(name)
	if err != nil {
		return t.errorf("unknown type %q", url)
	}
	t.out = protowire.AppendString(protowire.AppendTag(t.out, anyTypeURL, protowire.BytesType), url)
	start := t.open(anyValue)
	m := t.typeOf(mt.Descriptor())
	if wellKnown(name) != nil {
		err = t.anyWellKnown(m)
	} else {
		err = t.fields(m, true)
	}
	if err != nil {
		return err
	}
	t.close(start)
	return nil
}

func (t *transcoder) anyWellKnown(m *message) error {
	if t.depth++; t.depth > maxDepth {
		return t.errorf("%w", errTooDeep)
	}
	defer func() { t.depth-- }()
	for more, err := t.enter('{', '}'); ; more, err = t.next('}') {
		if !more {
			return err
		}
		t.at = t.pos
		key, err := t.key()
		if err != nil {
			return err
		}
		switch string(key) {
		case "@type":
			err = t.skip(0)
		case "value":
			t.push(step{name: "value", index: -1})
			if err = m.read(t, m); err == nil {
				t.pop()
			}
		default:
			err = t.errorf(`want "value" for %s, found %q`, m.name, key)
		}
		if err != nil {
			return err
		}
	}
}

// findType looks ahead for the "@type" of the object that begins here. It is
// the first entry in most documents.
func (t *transcoder) findType() (url string, err error) {
	begin := t.pos
	for more, err := t.enter('{', '}'); ; more, err = t.next('}') {
		if err != nil {
			return "", err
		}
		if !more {
			break
		}
		key, err := t.key()
		if err != nil {
			return "", err
		}
		if string(key) == "@type" {
			if t.peek() != '"' {
				return "", t.mismatch(`a type URL for "@type"`)
			}
			s, err := t.str()
			if err != nil {
				return "", err
			}
			url = string(s)
			break
		}
		if err := t.skip(t.depth); err != nil {
			return "", err
		}
	}
	t.pos = begin
	return url, nil
}
