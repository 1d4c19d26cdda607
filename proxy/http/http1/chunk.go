package http1

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// chunkState is where a chunked body stands (RFC 9112 section 7.1).
type chunkState uint8

const (
	chunkSize     chunkState = iota // at a chunk's first digit, or after some
	chunkExt                        // in the extensions
	chunkSizeLF                     // after the CR of the size line
	chunkData                       // in the data
	chunkDataCR                     // behind the data
	chunkDataLF                     // after the CR behind the data
	chunkTrailers                   // behind the last chunk's size line
)

// Bounds of chunk extensions, in bytes. Extensions are dropped, so what they
// cost must stay in proportion to the data.
const (
	maxExtension = 4 << 10  // of one chunk
	maxOverhead  = 16 << 10 // of all chunks, above the bytes of data
)

// chunked decodes a chunked body.
type chunked struct {
	state    chunkState
	digits   uint8
	ext      uint16 // bytes of this chunk's extensions
	overhead uint32 // bytes of extensions that data has not made up for
}

// chunkedStart is a decoder at the start of a body.
var chunkedStart chunked

// decode moves the data in src to dst and drains the framing, until src is
// empty or the trailer section is reached (state chunkTrailers). left is the
// size of the current chunk that is still to come.
func (c *chunked) decode(src, dst *network.Buffer, left *int64) *http.CodecError {
	for src.Len() > 0 && c.state != chunkTrailers {
		if c.state == chunkData {
			n := int(min(int64(src.Len()), *left))
			dst.MoveN(src, n)
			if *left -= int64(n); *left == 0 {
				c.state = chunkDataCR
			}
			c.overhead -= min(c.overhead, uint32(min(n, maxOverhead)))
			continue
		}
		p := src.Front()
		n, err := c.framing(p, left)
		if err != nil {
			return err
		}
		src.Drain(n)
	}
	return nil
}

// framing reads framing bytes from p, up to the first byte of data or of the
// trailer section, and returns how many there were.
func (c *chunked) framing(p []byte, left *int64) (int, *http.CodecError) {
	for i, b := range p {
		switch c.state {
		case chunkSize:
			switch d := hexDigit[b]; {
			case d < 16:
				// 15 digits are below 2^60: no size that is taken wraps.
				if c.digits++; c.digits > 15 {
					return 0, errChunk
				}
				*left = *left<<4 | int64(d)
			case c.digits > 0 && b == '\r':
				c.state = chunkSizeLF
			case c.digits > 0 && b == ';':
				c.state = chunkExt
			default:
				return 0, errChunk
			}
		case chunkExt:
			switch {
			case b == '\r':
				c.state = chunkSizeLF
			case b < ' ' && b != '\t' || b == 0x7f:
				return 0, errChunk
			default:
				if c.ext++; c.ext > maxExtension {
					return 0, errExtension
				}
			}
		case chunkSizeLF:
			if b != '\n' {
				return 0, errChunk
			}
			if c.overhead += uint32(c.ext); c.overhead > maxOverhead {
				return 0, errExtension
			}
			c.digits, c.ext = 0, 0
			c.state = chunkData
			if *left == 0 {
				c.state = chunkTrailers
			}
			return i + 1, nil
		case chunkDataCR:
			if b != '\r' {
				return 0, errChunk
			}
			c.state = chunkDataLF
		case chunkDataLF:
			if b != '\n' {
				return 0, errChunk
			}
			c.state = chunkSize
		}
	}
	return len(p), nil
}

// hexDigit is the value of a hexadecimal digit, or 16 or more.
var hexDigit = func() (t [256]byte) {
	for c := range t {
		switch {
		case '0' <= c && c <= '9':
			t[c] = byte(c) - '0'
		case 'a' <= c && c <= 'f':
			t[c] = byte(c) - 'a' + 10
		case 'A' <= c && c <= 'F':
			t[c] = byte(c) - 'A' + 10
		default:
			t[c] = 0xff
		}
	}
	return t
}()
