package decode

import (
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
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
