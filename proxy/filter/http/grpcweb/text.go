package grpcweb

import (
	"bytes"
	"encoding/base64"

	"github.com/weirproxy/weir/proxy/callstats"
	"github.com/weirproxy/weir/proxy/network"
)

// decoder decodes a base64 body that comes in pieces. Padding may stand
// wherever the client ended a piece of its own.
type decoder struct {
	left  [4]byte // an unfinished group
	nLeft int
}

// strict refuses a last group whose unused bits are set, so that a body has one
// encoding only (RFC 4648, section 3.5).
var strict = base64.StdEncoding.Strict()

// decode replaces b by what it decodes to; false when it is not base64. Line
// breaks are refused, too, which package base64 would skip.
func (d *decoder) decode(b *network.Buffer) bool {
	src := make([]byte, d.nLeft+b.Len())
	copy(src, d.left[:d.nLeft])
	b.CopyTo(src[d.nLeft:])
	b.Reset()
	whole := len(src) / 4 * 4
	d.nLeft = copy(d.left[:], src[whole:])
	src = src[:whole]
	if bytes.ContainsAny(src, "\r\n") {
		return false
	}
	for len(src) > 0 {
		end := len(src)
		if i := bytes.IndexByte(src, '='); i >= 0 {
			end = (i/4 + 1) * 4
		}
		n, err := strict.Decode(src[:end], src[:end])
		if err != nil {
			return false
		}
		b.Append(src[:n])
		src = src[end:]
	}
	return true
}

// encoder encodes a body that comes in pieces. Each message is padded at its
// end, so that the client can read it before the next one.
type encoder struct {
	frames callstats.Frames
	left   [3]byte // an unfinished group
	nLeft  int
}

// encode replaces b by its encoded form, as far as it is known.
func (e *encoder) encode(b *network.Buffer, end bool) {
	src := make([]byte, b.Len())
	b.CopyTo(src)
	b.Reset()
	for len(src) > 0 {
		n, ends := e.frames.Next(src)
		e.append(b, src[:n], ends)
		src = src[n:]
	}
	if end {
		e.append(b, nil, true)
	}
}

func (e *encoder) append(b *network.Buffer, p []byte, flush bool) {
	text := append(e.left[:e.nLeft:e.nLeft], p...)
	whole := len(text) / 3 * 3
	if flush {
		whole = len(text)
	}
	b.AppendString(base64.StdEncoding.EncodeToString(text[:whole]))
	e.nLeft = copy(e.left[:], text[whole:])
}
