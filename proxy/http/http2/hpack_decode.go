package http2

import (
	"strings"

	"github.com/weirproxy/weir/proxy/http"
)

// hpackDecoder is the receiving side of HPACK (RFC 7541) for one connection.
// Unlike package hpack's it puts literals into the memory of the map that they
// are for, and looks at what is in the table once only.
type hpackDecoder struct {
	entries []hpackField // oldest first; those before first are gone
	first   int
	size    uint32
	max     uint32 // as the peer has chosen
	allowed uint32 // the most it may choose

	saved   []byte // the beginning of a field whose rest is in the next frame
	begun   bool   // a field of this block has come
	longest int    // bytes a name or value may have, encoded
}

// hpackField is a decoded field.
type hpackField struct {
	name, value string
	id          http.HeaderID
	valid       bool // name and value are such as may be passed on
	never       bool // indexed
}

func makeField(name, value string) hpackField {
	f := hpackField{name: name, value: value, id: http.LookupID(name)}
	if f.id != http.Unknown {
		f.name = f.id.Name()
	}
	pseudo := name != "" && name[0] == ':'
	f.valid = pseudo || (f.id != http.Unknown || isToken(name, true)) && validValue(value)
	return f
}

// hpackError tells why a block can't be decoded.
type hpackError uint8

const (
	hpackOK hpackError = iota
	hpackMalformed
	hpackLateUpdate // the table's size changes within a block (RFC 7541 section 4.2)
	hpackTooLong    // a name or value is longer than any limit
)

// hpackSink is where decoded fields go.
type hpackSink interface {
	// alloc is memory for a literal.
	alloc(n int) []byte
	field(hpackField)
}

// decode takes a piece of a block; end is set with the last.
func (d *hpackDecoder) decode(p []byte, end bool, to hpackSink) hpackError {
	if len(d.saved) > 0 {
		d.saved = append(d.saved, p...)
		p = d.saved
	}
	for len(p) > 0 {
		rest, err := d.next(p, to)
		if err != hpackOK {
			return err
		}
		if rest == nil { // the field has not come whole
			break
		}
		p = rest
	}
	if len(p) > 2*d.longest+64 {
		return hpackTooLong
	}
	if end {
		d.begun = false
		if d.saved = d.saved[:0]; len(p) > 0 {
			return hpackMalformed
		}
		return hpackOK
	}
	d.saved = append(d.saved[:0], p...)
	return hpackOK
}

// next decodes the field at the start of p. rest is nil when p ends within it,
// and not when it ends behind it.
func (d *hpackDecoder) next(p []byte, to hpackSink) (rest []byte, err hpackError) {
	switch b := p[0]; {
	case b&0x80 != 0:
		i, rest, err := readInt(p, 7)
		if rest == nil || err != hpackOK {
			return nil, err
		}
		f := d.at(i)
		if f == nil {
			return nil, hpackMalformed
		}
		d.begun = true
		to.field(*f)
		return rest, hpackOK
	case b&0xc0 == 0x40:
		return d.literal(p, 6, to)
	case b&0xe0 == 0x20:
		n, rest, err := readInt(p, 5)
		if rest == nil || err != hpackOK {
			return nil, err
		}
		switch {
		case d.begun:
			return nil, hpackLateUpdate
		case n > uint64(d.allowed):
			return nil, hpackMalformed
		}
		d.max = uint32(n)
		d.evict(0)
		return rest, hpackOK
	}
	return d.literal(p, 4, to)
}

// literal decodes a literal field whose name's index has n bits: 6 is the
// kind that is indexed.
func (d *hpackDecoder) literal(p []byte, n uint, to hpackSink) (rest []byte, err hpackError) {
	never := n == 4 && p[0]&0x10 != 0
	index, p, err := readInt(p, n)
	if p == nil || err != hpackOK {
		return nil, err
	}
	name, kept := "", n == 6
	switch {
	case index > 0:
		f := d.at(index)
		if f == nil {
			return nil, hpackMalformed
		}
		name = f.name
	default:
		if name, p, err = d.text(p, to); p == nil || err != hpackOK {
			return nil, err
		}
	}
	value, p, err := d.text(p, to)
	if p == nil || err != hpackOK {
		return nil, err
	}
	d.begun = true
	if kept {
		f := makeField(strings.Clone(name), strings.Clone(value))
		to.field(f)
		d.insert(f)
		return p, hpackOK
	}
	f := makeField(name, value)
	f.never = never
	to.field(f)
	return p, hpackOK
}

// text decodes a string (RFC 7541 section 5.2).
func (d *hpackDecoder) text(p []byte, to hpackSink) (s string, rest []byte, err hpackError) {
	if len(p) == 0 {
		return "", nil, hpackOK
	}
	coded := p[0]&0x80 != 0
	n, p, err := readInt(p, 7)
	switch {
	case p == nil || err != hpackOK:
		return "", nil, err
	case n > uint64(d.longest):
		return "", nil, hpackTooLong
	case uint64(len(p)) < n:
		return "", nil, hpackOK
	}
	raw, rest := p[:n], p[n:]
	if n == 0 {
		return "", rest, hpackOK
	}
	if !coded {
		out := to.alloc(len(raw))
		copy(out, raw)
		return text(out), rest, hpackOK
	}
	// The shortest code has five bits.
	out, ok := huffmanCode.decode(to.alloc(len(raw) * 8 / 5)[:0], raw)
	if !ok {
		return "", nil, hpackMalformed
	}
	return text(out), rest, hpackOK
}

// at is the field of an index, nil when there is none.
func (d *hpackDecoder) at(i uint64) *hpackField {
	switch {
	case i == 0:
		return nil
	case i <= staticEntries:
		return &staticTable[i]
	}
	n := uint64(len(d.entries) - d.first)
	if i -= staticEntries; i > n {
		return nil
	}
	return &d.entries[len(d.entries)-int(i)]
}

func (d *hpackDecoder) insert(f hpackField) {
	size := entrySize(f.name, f.value)
	d.evict(size)
	if size > d.max {
		return // as if it were evicted at once
	}
	if d.first > 0 && len(d.entries) == cap(d.entries) {
		n := copy(d.entries, d.entries[d.first:])
		clear(d.entries[n:])
		d.entries, d.first = d.entries[:n], 0
	}
	d.entries = append(d.entries, f)
	d.size += size
}

func (d *hpackDecoder) evict(n uint32) {
	for d.first < len(d.entries) && d.size+n > d.max {
		f := &d.entries[d.first]
		d.size -= entrySize(f.name, f.value)
		*f = hpackField{}
		d.first++
	}
	if d.first == len(d.entries) {
		d.entries, d.first = d.entries[:0], 0
	}
}

// readInt reads an integer behind an n-bit prefix. rest is nil when p ends
// within it.
func readInt(p []byte, n uint) (v uint64, rest []byte, err hpackError) {
	most := uint64(1)<<n - 1
	v = uint64(p[0]) & most
	if v < most {
		return v, p[1:], hpackOK
	}
	for i, b := range p[1:] {
		if i == 5 {
			return 0, nil, hpackMalformed
		}
		v += uint64(b&0x7f) << (7 * i)
		if b&0x80 == 0 {
			return v, p[i+2:], hpackOK
		}
	}
	return 0, nil, hpackOK
}
