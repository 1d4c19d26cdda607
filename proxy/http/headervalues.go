package http

import (
	"strconv"
	"unsafe"
)

// SetInt is Set of a decimal number, kept in the map's memory.
func (h *HeaderMap) SetInt(id HeaderID, n int64) { h.Set(id, h.Int(n)) }

// Int is n in decimal, in the map's memory.
func (h *HeaderMap) Int(n int64) string {
	if n >= 0 && n < 1000 {
		return smallInts[n*3 : n*3+3][smallIntSkip(n):]
	}
	var buf [20]byte
	out := strconv.AppendInt(buf[:0], n, 10)
	p := h.arena.alloc(len(out))
	copy(p, out)
	return unsafe.String(&p[0], len(p))
}

// Values are the values of all lines with the lower-case name.
func (h *HeaderMap) Values(name string) []string {
	var out []string
	for l := range h.All {
		if l.Name == name {
			out = append(out, l.Value)
		}
	}
	return out
}

// Joined is the value of all lines with the lower-case name, joined by ","
// as matchers see them (RFC 9110 section 5.3).
func (h *HeaderMap) Joined(name string) (string, bool) {
	id := LookupID(name)
	if id != Unknown && h.first[id] == 0 {
		return "", false
	}
	value, n := "", 0
	for l := range h.All {
		if l.Name != name {
			continue
		}
		if n == 0 {
			value = l.Value
		} else {
			value = h.Concat(value, ",", l.Value)
		}
		n++
	}
	return value, n > 0
}

// Append puts value behind the existing one, after a separator, or sets it. No
// value adds nothing to one that is there.
func (h *HeaderMap) Append(id HeaderID, sep, value string) {
	if old := h.Get(id); old != "" {
		if value == "" {
			return
		}
		h.lines[h.first[id]-1].Value = h.Concat(old, sep, value)
		h.size += len(sep) + len(value)
		return
	}
	h.Set(id, value)
}

// AddJoined adds a line to a request's or a response's headers, or appends to
// the one that is there where Envoy keeps the field on one line.
func (h *HeaderMap) AddJoined(name, value string) {
	id, request := h.lookup(name), h.Has(Method)
	if (request || h.Has(Status)) && (id.Joined(request) || id.single()) {
		h.Append(id, ",", value)
		return
	}
	h.AddName(name, value)
}

// single tells whether messages have the field only once.
func (id HeaderID) single() bool {
	switch id {
	case Method, Path, Authority, Scheme, Protocol, Status, ContentLength:
		return true
	}
	return false
}

// Concat joins strings in the map's memory.
func (h *HeaderMap) Concat(parts ...string) string {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	if n == 0 {
		return ""
	}
	buf := h.arena.alloc(n)[:0]
	for _, p := range parts {
		buf = append(buf, p...)
	}
	return unsafe.String(&buf[0], n)
}

// CopyFrom adds copies of all lines of o.
func (h *HeaderMap) CopyFrom(o *HeaderMap) {
	for l := range o.All {
		name := l.Name
		if l.ID == Unknown {
			name = h.Own(name)
		}
		h.add(l.ID, name, h.Own(l.Value))
	}
	h.spelled, h.capitalize, h.odd = h.spelled || o.spelled, h.capitalize || o.capitalize, h.odd || o.odd
	for _, s := range o.spelling {
		h.Spell(h.Own(s))
	}
}
