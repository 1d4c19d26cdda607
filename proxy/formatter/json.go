package formatter

import (
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
			e.text = string(escapeFrom([]byte(e.text), 0))
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
		dst = escapeFrom(appendElements(dst, t[i:i+1], c, f.empty), start)
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
		out = escapeFrom((*element)(s).cut(out, start+1, k), start+1)
		return append(out, '"'), true
	}
	return append(out[:start], out[start+1:]...), true
}

// escapes is the size of each byte in a JSON string; bytes above 127 need a
// closer look.
var escapes = func() (t [256]uint8) {
	for i := range t {
		switch {
		case i < ' ', i >= utf8.RuneSelf:
			t[i] = 6
		case i == '"', i == '\\':
			t[i] = 2
		default:
			t[i] = 1
		}
	}
	for _, c := range "\b\f\n\r\t" {
		t[c] = 2
	}
	return t
}()
