package http2

import (
	"slices"
	"strings"

	"golang.org/x/net/http2/hpack"
)

// huffman is HPACK's Huffman code (RFC 7541 appendix B) for decoding. The code
// is canonical: codes of one length follow each other in the order of their
// symbols, and behind all shorter ones, so that the lengths tell everything.
type huffman struct {
	short [256]huffmanShort // by the next eight bits
	long  []huffmanLong     // codes above eight bits, the shorter first
}

type huffmanShort struct{ symbol, bits uint8 } // bits 0: the code is longer

type huffmanLong struct {
	bits    uint
	first   uint32 // the first code of this length
	limit   uint64 // codes of this length are below, put at the top of 32 bits
	symbols []uint16
}

const huffmanEnd = 256 // EOS, which must not appear

var huffmanCode = makeHuffman()

func makeHuffman() *huffman {
	byLength := map[int][]uint16{30: {}}
	for c := range 256 {
		// Eight times a code fill whole bytes: as many as it has bits.
		n := int(hpack.HuffmanEncodeLength(strings.Repeat(string([]byte{byte(c)}), 8)))
		byLength[n] = append(byLength[n], uint16(c))
	}
	byLength[30] = append(byLength[30], huffmanEnd)
	h := &huffman{}
	code := uint32(0)
	for bits := uint(1); bits <= 30; bits++ {
		code <<= 1
		symbols := byLength[int(bits)]
		slices.Sort(symbols)
		if len(symbols) == 0 {
			continue
		}
		if bits > 8 {
			limit := uint64(code+uint32(len(symbols))) << (32 - bits)
			h.long = append(h.long, huffmanLong{bits, code, limit, symbols})
		}
		for _, s := range symbols {
			if bits <= 8 {
				for rest := range uint32(1) << (8 - bits) {
					h.short[code<<(8-bits)|rest] = huffmanShort{uint8(s), uint8(bits)}
				}
			}
			code++
		}
	}
	return h
}

// decode appends what p encodes. It fails on EOS and on padding that is not
// the beginning of it, or a whole byte.
func (h *huffman) decode(dst, p []byte) (out []byte, ok bool) {
	var acc uint64 // its lowest n bits are still to be decoded
	n := uint(0)
	for {
		for n <= 32 && len(p) > 0 {
			acc, n, p = acc<<8|uint64(p[0]), n+8, p[1:]
		}
		// What follows the last bit is taken for padding.
		top := acc << (64 - n)
		if n < 64 {
			top |= 1<<(64-n) - 1
		}
		if s := h.short[top>>56]; s.bits != 0 {
			if uint(s.bits) > n {
				break
			}
			dst, n = append(dst, s.symbol), n-uint(s.bits)
			continue
		}
		bits := uint(0)
		for i := range h.long {
			l := &h.long[i]
			if top>>32 >= l.limit {
				continue
			}
			if bits = l.bits; bits <= n {
				s := l.symbols[uint32(top>>(64-bits))-l.first]
				if s == huffmanEnd {
					return dst, false
				}
				dst = append(dst, uint8(s))
			}
			break
		}
		if bits == 0 || bits > n {
			break
		}
		n -= bits
	}
	rest := uint64(1)<<n - 1
	return dst, n < 8 && acc&rest == rest
}
