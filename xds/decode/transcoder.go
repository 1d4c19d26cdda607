package decode

import (
	"bytes"
	"errors"
	"fmt"
	"sort"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/weirproxy/weir/internal/field"
)

// transcoder appends a document's messages to out in wire format.
type transcoder struct {
	scanner
	out   []byte
	types map[string]*message
	path  []step
	at    int // where the key or value that is being read begins
	depth int
}

// step is one part of a path: a field, or an element of the field before it.
type step struct {
	name  string
	index int // of a list element if ≥ 0
	isKey bool
}

func (t *transcoder) push(s step) { t.path = append(t.path, s) }
func (t *transcoder) pop()        { t.path = t.path[:len(t.path)-1] }

// errorf is an error at the current path.
func (t *transcoder) errorf(format string, args ...any) error {
	var p field.Path
	for _, s := range t.path {
		switch {
		case s.isKey:
			p = p.Key(s.name)
		case s.index >= 0:
			p = p.Index(s.index)
		default:
			p = p.Dot(s.name)
		}
	}
	return &Error{Path: p, Err: fmt.Errorf(format, args...)}
}

// locate adds the line: that of the JSON, or if lines are given that of the
// YAML from which the JSON was made.
func (t *transcoder) locate(err error, lines []line) error {
	at := t.at
	var e *Error
	if !errors.As(err, &e) {
		e = t.errorf("%w", err).(*Error)
		if errors.As(err, new(syntaxError)) {
			at, e.Path = t.pos, ""
		}
	}
	if lines == nil {
		e.Line = 1 + bytes.Count(t.in[:min(at, len(t.in))], []byte{'\n'})
	} else if i := sort.Search(len(lines), func(i int) bool { return lines[i].offset > at }); i > 0 {
		e.Line = lines[i-1].number
	}
	return e
}

func (t *transcoder) document(d protoreflect.MessageDescriptor) error {
	t.in = bytes.TrimPrefix(t.in, []byte("\xef\xbb\xbf"))
	t.space()
	m := t.typeOf(d)
	if err := m.read(t, m); err != nil {
		return err
	}
	if t.pos < len(t.in) {
		return t.syntax("the end of the document")
	}
	return nil
}

// open begins a length-delimited value; its length is written by close, in the
// byte reserved here or, if it is longer, by moving the value.
func (t *transcoder) open(num protowire.Number) (start int) {
	t.out = append(protowire.AppendTag(t.out, num, protowire.BytesType), 0)
	return len(t.out)
}

func (t *transcoder) close(start int) {
	n := len(t.out) - start
	if more := protowire.SizeVarint(uint64(n)) - 1; more > 0 {
		var room [9]byte
		t.out = append(t.out, room[:more]...)
		copy(t.out[start+more:], t.out[start:start+n])
	}
	protowire.AppendVarint(t.out[:start-1], uint64(n))
}

// plain reads an ordinary message.
func (t *transcoder) plain(m *message) error { return t.fields(m, false) }

// fields reads an object into the message's fields; inAny lets "@type" pass.
func (t *transcoder) fields(m *message, inAny bool) error {
	if t.peek() != '{' {
		return t.mismatch("an object for " + string(m.name))
	}
	if t.depth++; t.depth > maxDepth {
		return t.errorf("%w", errTooDeep)
	}
	defer func() { t.depth-- }()
	var set, groups bitset
	for more, err := t.enter('{', '}'); ; more, err = t.next('}') {
		if !more {
			return err
		}
		t.at = t.pos
		key, err := t.key()
		if err != nil {
			return err
		}
		f := m.fields[string(key)]
		if f == nil {
			if inAny && string(key) == "@type" {
				if err := t.skip(0); err != nil {
					return err
				}
				continue
			}
			t.push(step{name: string(key), index: -1})
			return t.errorf("no such field in %s", m.name)
		}
		t.push(step{name: f.name, index: -1})
		if t.peek() == 'n' && !f.takesNull() {
			if err := t.word("null"); err != nil {
				return err
			}
			t.pop()
			continue
		}
		if set.add(f.index) {
			return t.errorf("set twice")
		}
		if f.group > 0 && groups.add(f.group) {
			return t.errorf("another field of the oneof %s is set already", f.oneof)
		}
		if err := t.field(f); err != nil {
			return err
		}
		t.pop()
	}
}

// bitset is a set of small numbers; those that are too large are never in it.
type bitset [4]uint64

// add puts i into the set and says whether it was there.
func (b *bitset) add(i int) (was bool) {
	if i >= 64*len(b) {
		return false
	}
	was = b[i/64]&(1<<(i%64)) != 0
	b[i/64] |= 1 << (i % 64)
	return was
}

// field reads a field's value, all of it if it is a list or a map.
func (t *transcoder) field(f *fieldType) error {
	switch {
	case f.mapKey != nil:
		return t.mapField(f)
	case f.list && t.peek() == '[':
		return t.list(f)
	}
	return t.single(f)
}

func (t *transcoder) list(f *fieldType) error {
	i := 0
	for more, err := t.enter('[', ']'); ; more, err = t.next(']') {
		if !more {
			return err
		}
		t.push(step{index: i})
		t.at = t.pos
		read := t.single
		if t.peek() == 'n' && !f.takesNull() {
			read = t.zero
		}
		if err := read(f); err != nil {
			return err
		}
		i++
		t.pop()
	}
}

// zero reads a null in a list: as for Envoy an element that is empty or 0.
func (t *transcoder) zero(f *fieldType) error {
	if err := t.word("null"); err != nil {
		return err
	}
	switch f.kind {
	case protoreflect.MessageKind:
		t.close(t.open(f.num))
	case protoreflect.StringKind, protoreflect.BytesKind:
		return t.text(f, nil)
	case protoreflect.BoolKind:
		t.varint(f, 0)
	default:
		return t.text(f, []byte("0"))
	}
	return nil
}

func (t *transcoder) mapField(f *fieldType) error {
	if t.peek() != '{' {
		return t.mismatch("an object")
	}
	for more, err := t.enter('{', '}'); ; more, err = t.next('}') {
		if !more {
			return err
		}
		t.at = t.pos
		key, err := t.key()
		if err != nil {
			return err
		}
		t.push(step{name: string(key), isKey: true})
		entry := t.open(f.num)
		if err := t.text(f.mapKey, key); err != nil {
			return err
		}
		if t.peek() == 'n' && !f.mapValue.takesNull() {
			return t.mismatch("a value")
		}
		if err := t.single(f.mapValue); err != nil {
			return err
		}
		t.close(entry)
		t.pop()
	}
}

// single reads one value of the field's kind.
func (t *transcoder) single(f *fieldType) error {
	if f.kind != protoreflect.MessageKind {
		return t.scalar(f)
	}
	m := t.fieldMessage(f)
	start := t.open(f.num)
	if err := m.read(t, m); err != nil {
		return err
	}
	t.close(start)
	return nil
}

// takesNull tells the fields for which null is a value.
func (f *fieldType) takesNull() bool {
	switch f.kind {
	case protoreflect.MessageKind:
		return f.desc.Message().FullName() == "google.protobuf.Value"
	case protoreflect.EnumKind:
		return f.desc.Enum().FullName() == "google.protobuf.NullValue"
	}
	return false
}

// mismatch is the error that something else than want comes next.
func (t *transcoder) mismatch(want string) error {
	found := "a number"
	switch t.peek() {
	case '{':
		found = "an object"
	case '[':
		found = "a list"
	case '"':
		found = "a string"
	case 't', 'f':
		found = "a boolean"
	case 'n':
		found = "null"
	case 0:
		found = "nothing"
	}
	return t.errorf("want %s, found %s", want, found)
}
