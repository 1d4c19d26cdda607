package decode

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

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
