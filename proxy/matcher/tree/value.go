package tree

import (
	"net/netip"
	"strconv"
	"unsafe"
)

type state uint8

const (
	absent state = iota
	present
	notYet
)

// value is what an input yields: a text, an address or number that is made a
// text only when one is asked for, or a metadata value.
type value struct {
	state state
	kind  valueKind
	text  string
	addr  netip.Addr
	n     int
	any   any
}

type valueKind uint8

const (
	textValue valueKind = iota
	addrValue
	intValue
	anyValue
)

var (
	missing = value{}
	pending = value{state: notYet}
)

func text(s string) value { return value{state: present, text: s} }

// textOr is s, or absent when it is empty.
func textOr(s string) value {
	if s == "" {
		return missing
	}
	return text(s)
}

func address(a netip.Addr) value {
	if !a.IsValid() {
		return missing
	}
	return value{state: present, kind: addrValue, addr: a.Unmap()}
}

func number(n int) value { return value{state: present, kind: intValue, n: n} }

// string is the value as a text, in d's scratch memory where it has to be
// written: valid until the next call.
func (v *value) string(d *Data) string {
	var b []byte
	switch v.kind {
	case textValue:
		return v.text
	case addrValue:
		b = v.addr.AppendTo(d.scratch[:0])
	case intValue:
		b = strconv.AppendInt(d.scratch[:0], int64(v.n), 10)
	default:
		s, _ := v.any.(string)
		return s
	}
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// address is the value as an address, invalid when it is none.
func (v *value) address() netip.Addr {
	switch {
	case v.kind == addrValue:
		return v.addr
	case v.kind == textValue:
		a, _ := netip.ParseAddr(v.text)
		return a.WithZone("")
	}
	return netip.Addr{}
}
