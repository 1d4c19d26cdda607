package http1

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// bodyReader is how far the body of the message that comes in has been read.
type bodyReader struct {
	left    int64          // bytes still to come of a sized body, or of the current chunk
	data    network.Buffer // on its way to the decoder
	scanned uint32         // bytes of an incomplete head or trailer section already looked at
	chunk   chunked
}

// take moves the next bytes of a sized body to r.data. Slabs change hands, so
// this copies next to nothing, and the bytes outlive the connection's buffer:
// a decoder may close the connection first and then pass them on.
func (r *bodyReader) take(b *network.Buffer) *network.Buffer {
	n := min(int64(b.Len()), r.left)
	r.data.MoveN(b, int(n))
	r.left -= n
	return &r.data
}

// chunks decodes what is there of a chunked body into r.data. When the body
// has ended, trailers is the length of the trailer section at the start of b,
// at least that of its empty line; it is 0 before. limit bounds it in bytes.
func (r *bodyReader) chunks(b *network.Buffer, limit int) (trailers int, err *http.CodecError) {
	if err := r.chunk.decode(b, &r.data, &r.left); err != nil {
		return 0, err
	}
	if r.chunk.state != chunkTrailers || b.Len() == 0 {
		return 0, nil
	}
	var start [2]byte
	n := b.CopyTo(start[:])
	switch {
	case start[0] == '\r' && n == 1:
		return 0, nil
	case start == [2]byte{'\r', '\n'}:
		return 2, nil
	case tokenLower[start[0]] == 0:
		return 0, errChunk
	}
	n = findHead(b, int(r.scanned))
	if n > limit || n == 0 && b.Len() > limit {
		return 0, errTooLarge
	}
	r.scanned = uint32(b.Len())
	return n, nil
}

// emptyLine is the length of a trailer section without trailers.
const emptyLine = 2

// readTrailers takes the n bytes of trailers off b.
func readTrailers(b *network.Buffer, n int, t *http.HeaderMap, s *Settings) *http.CodecError {
	if err := parseFields(t, takeHead(b, n, t), 0, trailerSection, s); err != nil {
		return err
	}
	if !s.EnableTrailers {
		t.Reset()
	}
	return nil
}

// takeHead moves the first n bytes of b into h's memory.
func takeHead(b *network.Buffer, n int, h *http.HeaderMap) []byte {
	raw := h.Alloc(n)
	if front := b.Front(); len(front) >= n {
		copy(raw, front)
	} else {
		b.CopyTo(raw)
	}
	b.Drain(n)
	return raw
}

// minSplice is the least rest of a sized body, in bytes, that is offered to
// pass through a pipe.
const minSplice = 64 << 10

// spliceable is how many of the next bytes nobody needs to look at.
func (r *bodyReader) spliceable() int64 {
	if r.left < minSplice {
		return 0
	}
	return r.left
}
