package http2

import (
	"encoding/binary"
	"math/bits"
	"strings"

	"golang.org/x/net/http2/hpack"

	"github.com/weirproxy/weir/proxy/http"
)

// hpackEncoder is the sending side of HPACK (RFC 7541) for one connection.
// Unlike package hpack's it keeps copies of what it indexes: a HeaderMap's
// strings die with their stream. It finds a field by a scan over a few dozen
// hashes, which is cheaper than that package's two maps and needs no memory.
type hpackEncoder struct {
	hashes  []uint32 // of the entries, oldest first; entries before first are gone
	entries []hpackEntry
	first   int
	size    uint32 // as RFC 7541 section 4.1 counts
	max     uint32 // bytes the table may take

	update    bool // the peer has to be told of max
	updateMin uint32
}

type hpackEntry struct{ name, value string }

func (e *hpackEntry) size() uint32 { return entrySize(e.name, e.value) }

func entrySize(name, value string) uint32 { return uint32(len(name)+len(value)) + 32 }

// setMax bounds the table.
func (e *hpackEncoder) setMax(n uint32) {
	if n == e.max {
		return
	}
	if !e.update || n < e.updateMin {
		e.updateMin = n
	}
	e.update, e.max = true, n
	e.evict(0)
}

// begin starts a header block.
func (e *hpackEncoder) begin(p []byte) []byte {
	if !e.update {
		return p
	}
	e.update = false
	if e.updateMin < e.max {
		p = appendInt(p, 0x20, 5, uint64(e.updateMin))
	}
	return appendInt(p, 0x20, 5, uint64(e.max))
}

// field appends one field.
func (e *hpackEncoder) field(p []byte, id http.HeaderID, name, value string, never bool) []byte {
	static, whole := staticIndex(id, name, value)
	if whole && !never {
		return append(p, 0x80|static)
	}
	if never {
		return appendLiteral(p, 0x10, 4, static, name, value)
	}
	size := entrySize(name, value)
	if unindexed(id, name) || size > e.max/2 {
		return appendLiteral(p, 0x00, 4, static, name, value)
	}
	h := fieldHash(id, name, value)
	for i := len(e.hashes) - 1; i >= e.first; i-- {
		if x := &e.entries[i]; e.hashes[i] == h && x.value == value && x.name == name {
			return appendInt(p, 0x80, 7, uint64(staticEntries+len(e.hashes)-i))
		}
	}
	p = appendLiteral(p, 0x40, 6, static, name, value)
	e.insert(h, id, name, value)
	return p
}

func (e *hpackEncoder) insert(h uint32, id http.HeaderID, name, value string) {
	e.evict(entrySize(name, value))
	if id == http.Unknown {
		name = strings.Clone(name)
	}
	if e.first > 0 && len(e.hashes) == cap(e.hashes) {
		n := copy(e.hashes, e.hashes[e.first:])
		copy(e.entries, e.entries[e.first:])
		clear(e.entries[n:])
		e.hashes, e.entries, e.first = e.hashes[:n], e.entries[:n], 0
	}
	e.hashes = append(e.hashes, h)
	e.entries = append(e.entries, hpackEntry{name, strings.Clone(value)})
	e.size += entrySize(name, value)
}

// evict makes room for n bytes.
func (e *hpackEncoder) evict(n uint32) {
	for e.first < len(e.entries) && e.size+n > e.max {
		x := &e.entries[e.first]
		e.size -= x.size()
		*x = hpackEntry{}
		e.first++
	}
	if e.first == len(e.entries) {
		e.hashes, e.entries, e.first = e.hashes[:0], e.entries[:0], 0
	}
}

// appendInt appends an integer behind an n-bit prefix (RFC 7541 section 5.1).
func appendInt(p []byte, first byte, n uint, v uint64) []byte {
	most := uint64(1)<<n - 1
	if v < most {
		return append(p, first|byte(v))
	}
	p = append(p, first|byte(most))
	for v -= most; v >= 0x80; v >>= 7 {
		p = append(p, byte(v)|0x80)
	}
	return append(p, byte(v))
}

// appendLiteral appends a literal field whose name is a static one, or
// spelled out when static is 0.
func appendLiteral(p []byte, first byte, n uint, static byte, name, value string) []byte {
	p = appendInt(p, first, n, uint64(static))
	if static == 0 {
		p = appendText(p, name)
	}
	return appendText(p, value)
}

func appendText(p []byte, s string) []byte {
	if n := hpack.HuffmanEncodeLength(s); n < uint64(len(s)) {
		return hpack.AppendHuffmanString(appendInt(p, 0x80, 7, n), s)
	}
	return append(appendInt(p, 0, 7, uint64(len(s))), s...)
}

// fieldHash mixes the lengths and some bytes of a field.
func fieldHash(id http.HeaderID, name, value string) uint32 {
	h := uint64(id)<<32 | uint64(len(value))
	if id == http.Unknown {
		h = mix(h, name)
	}
	h = mix(h, value)
	return uint32(h ^ h>>32)
}

func mix(h uint64, s string) uint64 {
	const k = 0x9e3779b97f4a7c15
	h ^= uint64(len(s)) * k
	if len(s) >= 8 {
		for i := 0; i+8 <= len(s) && i < 32; i += 8 {
			h = bits.RotateLeft64(h, 27) ^ word(s, i)*k
		}
		h = bits.RotateLeft64(h, 27) ^ word(s, len(s)-8)*k
	} else {
		for i := range len(s) {
			h = h*31 + uint64(s[i])
		}
	}
	return h * k
}

func word(s string, i int) uint64 {
	var p [8]byte
	copy(p[:], s[i:])
	return binary.LittleEndian.Uint64(p[:])
}

// unindexed tells whether a field's value is seldom sent twice, so that
// indexing it would only drive others out of the table.
func unindexed(id http.HeaderID, name string) bool {
	switch id {
	case http.Path, http.ContentLength, http.XRequestID, http.ETag, http.Location, http.GrpcTimeout, http.GrpcMessage,
		http.XEnvoyUpstreamServiceTime, http.LastModified, http.XForwardedClientCert:
		return true
	case http.Unknown:
		switch name {
		case "traceparent", "tracestate", "x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "age", "range", "content-range",
			"if-modified-since", "if-none-match", "if-range":
			return true
		}
	}
	return false
}
