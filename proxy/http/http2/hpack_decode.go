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
	updates uint8  // of the table's size, in this block
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
	hpackLateUpdate // the table's size changes within a block, or once more than it may (RFC 7541 section 4.2)
	hpackTooLong    // a name or value is longer than any limit
)

// maxUpdates is how often the table's size may change at a block's beginning:
// to the least that it had since the last block, and to what it has now
// (RFC 7541 section 4.2).
const maxUpdates = 2

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
		d.begun, d.updates = false, 0
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
		case d.begun || d.updates == maxUpdates:
			return nil, hpackLateUpdate
		case n > uint64(d.allowed):
			return nil, hpackMalformed
		}
		d.updates++
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
	var nameText, valueText hpackText
	if index > 0 {
		f := d.at(index)
		if f == nil {
			return nil, hpackMalformed
		}
		name = f.name
	} else if nameText, p, err = d.cut(p); p == nil || err != hpackOK {
		return nil, err
	}
	if valueText, p, err = d.cut(p); p == nil || err != hpackOK {
		return nil, err
	}
	// Strings take memory, so none is decoded before the field is there whole:
	// a peer could have a long name decoded anew with each byte of the value.
	if index == 0 {
		if name, err = nameText.decode(to); err != hpackOK {
			return nil, err
		}
	}
	value, err := valueText.decode(to)
	if err != hpackOK {
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

// hpackText is a string as it lies in a block (RFC 7541 section 5.2).
type hpackText struct {
	raw   []byte
	coded bool // by the Huffman code
}

// cut takes a string off the start of p. rest is nil when p ends within it.
func (d *hpackDecoder) cut(p []byte) (s hpackText, rest []byte, err hpackError) {
	if len(p) == 0 {
		return s, nil, hpackOK
	}
	s.coded = p[0]&0x80 != 0
	n, p, err := readInt(p, 7)
	switch {
	case p == nil || err != hpackOK:
		return s, nil, err
	case n > uint64(d.longest):
		return s, nil, hpackTooLong
	case uint64(len(p)) < n:
		return s, nil, hpackOK
	}
	s.raw = p[:n]
	return s, p[n:], hpackOK
}

// decode puts the string into memory of to's.
func (s hpackText) decode(to hpackSink) (string, hpackError) {
	if len(s.raw) == 0 {
		return "", hpackOK
	}
	if !s.coded {
		out := to.alloc(len(s.raw))
		copy(out, s.raw)
		return text(out), hpackOK
	}
	// The shortest code has five bits.
	out, ok := huffmanCode.decode(to.alloc(len(s.raw) * 8 / 5)[:0], s.raw)
	if !ok {
		return "", hpackMalformed
	}
	return text(out), hpackOK
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
