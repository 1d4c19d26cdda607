package formatter

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/weirproxy/weir/internal/field"
)

// CompileJSON compiles a json_format: an object whose strings are formats. A
// string that is one operator has that operator's JSON type, and null when
// there is no value; others are strings. Names come out sorted.
func CompileJSON(path field.Path, s *structpb.Struct, o Options) (*Formatter, error) {
	f := &Formatter{empty: "-", omit: o.OmitEmptyValues}
	if o.OmitEmptyValues {
		f.empty = ""
	}
	var err error
	f.json, err = compileObject(path, s, o, 0)
	return f, err
}

// maxJSONDepth bounds the nesting of a json_format.
const maxJSONDepth = 32

// node is a value of the JSON to print. It reports false when it is empty.
type node interface {
	append(dst []byte, c *Context, f *Formatter) ([]byte, bool)
}

// object is a JSON object; its keys are quoted and have their colon.
type object struct {
	keys   []string
	values []node
}

// list is a JSON array.
type list []node

// fixed is a JSON value that never changes.
type fixed string

// template is a string of several pieces, whose texts are escaped already.
type template []element

// single is one operator's value.
type single element

func compileObject(path field.Path, s *structpb.Struct, o Options, depth int) (*object, error) {
	if depth > maxJSONDepth {
		return nil, path.Errorf("the format is nested deeper than %d", maxJSONDepth)
	}
	names := make([]string, 0, len(s.GetFields()))
	for name := range s.GetFields() {
		names = append(names, name)
	}
	slices.Sort(names)
	out := &object{}
	for _, name := range names {
		v, err := compileNode(path.Key(name), s.Fields[name], o, depth)
		if err != nil {
			return nil, err
		}
		out.keys = append(out.keys, string(appendQuoted(nil, name))+":")
		out.values = append(out.values, v)
	}
	return out, nil
}

func compileNode(path field.Path, v *structpb.Value, o Options, depth int) (node, error) {
	switch v := v.GetKind().(type) {
	case *structpb.Value_StringValue:
		return compileString(path, v.StringValue, o)
	case *structpb.Value_StructValue:
		return compileObject(path, v.StructValue, o, depth+1)
	case *structpb.Value_ListValue:
		if depth > maxJSONDepth {
			return nil, path.Errorf("the format is nested deeper than %d", maxJSONDepth)
		}
		var out list
		for i, item := range v.ListValue.GetValues() {
			n, err := compileNode(path.Index(i), item, o, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, n)
		}
		return out, nil
	case *structpb.Value_NumberValue:
		return fixed(appendNumber(nil, v.NumberValue)), nil
	case *structpb.Value_BoolValue:
		return fixed(strconv.FormatBool(v.BoolValue)), nil
	}
	return fixed("null"), nil
}

func compileString(path field.Path, s string, o Options) (node, error) {
	elements, err := parse(s, o.Commands)
	if err != nil {
		return nil, path.Wrap(err)
	}
	switch {
	case len(elements) == 0:
		return fixed(`""`), nil
	case len(elements) == 1 && elements[0].op == nil:
		return fixed(appendQuoted(nil, elements[0].text)), nil
	case len(elements) == 1:
		return (*single)(&elements[0]), nil
	}
	for i := range elements {
		if e := &elements[i]; e.op == nil {
			e.text = string(appendEscaped(nil, e.text))
		}
	}
	return template(elements), nil
}

func (o *object) append(dst []byte, c *Context, f *Formatter) ([]byte, bool) {
	dst = append(dst, '{')
	first := true
	for i, v := range o.values {
		before := len(dst)
		if !first {
			dst = append(dst, ',')
		}
		dst = append(dst, o.keys[i]...)
		out, ok := v.append(dst, c, f)
		if !ok && f.omit {
			dst = dst[:before]
			continue
		}
		dst, first = out, false
	}
	return append(dst, '}'), !first
}

func (l list) append(dst []byte, c *Context, f *Formatter) ([]byte, bool) {
	dst = append(dst, '[')
	first := true
	for _, v := range l {
		before := len(dst)
		if !first {
			dst = append(dst, ',')
		}
		out, ok := v.append(dst, c, f)
		if !ok && f.omit {
			dst = dst[:before]
			continue
		}
		dst, first = out, false
	}
	return append(dst, ']'), true
}

func (v fixed) append(dst []byte, _ *Context, _ *Formatter) ([]byte, bool) {
	return append(dst, v...), v != "null"
}

func (t template) append(dst []byte, c *Context, f *Formatter) ([]byte, bool) {
	dst = append(dst, '"')
	for i := range t {
		e := &t[i]
		if e.op == nil {
			dst = append(dst, e.text...)
			continue
		}
		start := len(dst)
		dst = escapeFrom(appendElements(dst, t[i:i+1], c, f.empty), start, c)
	}
	return append(dst, '"'), true
}

func (s *single) append(dst []byte, c *Context, _ *Formatter) ([]byte, bool) {
	start := len(dst)
	out, k := s.op(append(dst, '"'), c)
	switch k {
	case none:
		return append(dst, "null"...), false
	case text:
		out = escapeFrom((*element)(s).cut(out, start+1, k), start+1, c)
		return append(out, '"'), true
	}
	return append(out[:start], out[start+1:]...), true
}

// escapeFrom escapes what follows start in dst for a JSON string.
func escapeFrom(dst []byte, start int, c *Context) []byte {
	for _, b := range dst[start:] {
		if b < ' ' || b == '"' || b == '\\' || b >= utf8.RuneSelf {
			c.scratch = append(c.scratch[:0], dst[start:]...)
			return appendEscaped(dst[:start], c.scratch)
		}
	}
	return dst
}

const hexDigits = "0123456789abcdef"

func appendQuoted(dst []byte, s string) []byte {
	return append(appendEscaped(append(dst, '"'), s), '"')
}

// appendEscaped appends s as the inside of a JSON string. When s is not UTF-8
// each of its bytes above 127 becomes \u00XX, so that none is lost.
func appendEscaped[T string | []byte](dst []byte, s T) []byte {
	valid := validUTF8(s)
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= utf8.RuneSelf && valid:
			dst = append(dst, c)
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c >= ' ' && c < utf8.RuneSelf:
			dst = append(dst, c)
		default:
			dst = appendControl(dst, c)
		}
	}
	return dst
}

func validUTF8[T string | []byte](s T) bool {
	switch s := any(s).(type) {
	case string:
		return utf8.ValidString(s)
	case []byte:
		return utf8.Valid(s)
	}
	return false
}

func appendControl(dst []byte, c byte) []byte {
	switch c {
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

func appendJSONValue(dst []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return appendQuoted(dst, v)
	case bool:
		return strconv.AppendBool(dst, v)
	case float64:
		return appendNumber(dst, v)
	case int64:
		return strconv.AppendInt(dst, v, 10)
	case int:
		return strconv.AppendInt(dst, int64(v), 10)
	case uint64:
		return strconv.AppendUint(dst, v, 10)
	case map[string]any:
		return appendJSONObject(dst, v)
	case []any:
		dst = append(dst, '[')
		for i, item := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendJSONValue(dst, item)
		}
		return append(dst, ']')
	case nil:
		return append(dst, "null"...)
	}
	return appendQuoted(dst, fmt.Sprint(v))
}

func appendJSONObject(dst []byte, m map[string]any) []byte {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	dst = append(dst, '{')
	for i, name := range names {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendQuoted(dst, name), ':')
		dst = appendJSONValue(dst, m[name])
	}
	return append(dst, '}')
}

// appendNumber prints as few digits as tell f from its neighbours, with an
// exponent where that is very large or small.
func appendNumber(dst []byte, f float64) []byte {
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return append(dst, "null"...)
	case f == 0 || math.Abs(f) >= 1e-4 && math.Abs(f) < 1e16:
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	}
	return strconv.AppendFloat(dst, f, 'e', -1, 64)
}
