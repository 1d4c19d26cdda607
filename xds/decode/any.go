package decode

import (
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

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
