package http1

import (
	"bytes"
	"strings"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// encoder writes the messages of one direction to its connection.
type encoder struct {
	conn *network.Connection
	set  *Settings
	left int64 // bytes due to the content-length written; below 0: not known
	framing
	sent     uint64 // bytes of this stream
	headSent uint64 // of them in fields
}

// meter counts the bytes of one direction as a codec takes them off its
// connection's buffer.
type meter struct {
	b      *network.Buffer // while bytes are being dispatched
	start  int             // its length when counting began
	before uint64          // what earlier dispatches took
}

func (m *meter) begin(b *network.Buffer) { m.b, m.start = b, b.Len() }

func (m *meter) end() { m.before, m.b = m.count(), nil }

func (m *meter) count() uint64 {
	if m.b == nil {
		return m.before
	}
	return m.before + uint64(m.start-m.b.Len())
}

// restart counts for another message from here.
func (m *meter) restart() {
	m.before = 0
	if m.b != nil {
		m.start = m.b.Len()
	}
}

// framing is how the message that goes out is framed.
type framing struct {
	chunked bool
	noBody  bool // data is dropped: the message has none by its kind
}

// bufferLimit is what may be buffered for a stream in bytes; 0: any.
func (e *encoder) bufferLimit() uint32 {
	if e.set.BufferLimit != 0 {
		return e.set.BufferLimit
	}
	return e.conn.BufferLimit()
}

// begin is where bytes are to be written; flush must follow.
func (e *encoder) begin() *network.Buffer {
	if out := e.conn.Out(); out != nil {
		return out
	}
	return e.conn.Loop().NewBuffer()
}

func (e *encoder) flush(out *network.Buffer) {
	if out == e.conn.Out() {
		e.conn.Wrote()
	} else {
		e.conn.Write(out, false)
	}
}

// lineRoom is more than what head adds to the start line and the fields.
const lineRoom = 64

// head writes a message's head: the start line, the map's fields in their
// order, then extra, a whole line or "". It fails, and writes nothing, when a
// name or value has a line break or a NUL in it. dropLength leaves
// content-length out.
func (e *encoder) head(start []string, h *http.HeaderMap, extra string, dropLength bool) bool {
	lines := h.Lines()
	n := h.Bytes() + 4*len(lines) + lineRoom
	for _, s := range start {
		n += len(s)
	}
	out := e.begin()
	var w []byte
	if n <= network.SlabSize {
		w = out.Reserve(n)[:0]
	} else {
		w = make([]byte, 0, n)
	}
	for _, s := range start {
		w = append(w, s...)
	}
	count := 2 // the start line and the empty one
	for i := range lines {
		l := &lines[i]
		if l.Removed() || !written(l, h, dropLength) {
			continue
		}
		count++
		switch {
		case l.ID == http.Authority:
			w = e.name(w, h, "host")
		default:
			w = e.name(w, h, l.Name)
		}
		w = append(w, ": "...)
		w = append(w, l.Value...)
		w = append(w, "\r\n"...)
	}
	if extra != "" {
		name, rest, _ := strings.Cut(extra, ":")
		w = append(e.name(w, h, name), ':')
		w = append(w, rest...)
		count++
	}
	w = append(w, "\r\n"...)
	// Every line break must be one of those written here, whatever filters or
	// configuration put into names and values.
	ok := bytes.Count(w, lf) == count && bytes.Count(w, cr) == count && bytes.IndexByte(w, 0) < 0
	switch {
	case !ok:
		out.Trim()
	case n <= network.SlabSize:
		out.Commit(len(w))
	default:
		out.Append(w)
	}
	if ok {
		e.sent += uint64(len(w))
		e.headSent += uint64(len(w) - 2)
		for _, s := range start {
			e.headSent -= uint64(len(s))
		}
		e.flush(out)
	}
	return ok
}

var lastChunk = []string{"0\r\n"}

var lf, cr = []byte("\n"), []byte("\r")

// written tells whether a line of the map goes on the wire as a field.
func written(l *http.Header, h *http.HeaderMap, dropLength bool) bool {
	switch l.ID {
	case http.Unknown:
		return l.Name != "" && l.Name[0] != ':'
	case http.Method, http.Path, http.Scheme, http.Protocol, http.Status:
		return false
	case http.TransferEncoding:
		return false // framing is the encoder's own
	case http.ContentLength:
		return !dropLength
	case http.Host:
		return !h.Has(http.Authority)
	}
	return true
}

// name appends a field name in the case asked for.
func (e *encoder) name(w []byte, h *http.HeaderMap, name string) []byte {
	at := len(w)
	spelled, known, capitalize := h.Spelling(name)
	w = append(w, spelled...)
	if !known && (capitalize || e.set.Case == ProperCase) {
		up := true
		for i := at; i < len(w); i++ {
			if up && 'a' <= w[i] && w[i] <= 'z' {
				w[i] -= 'a' - 'A'
			}
			up = !alnum(w[i])
		}
	}
	return w
}

func alnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

// data writes body bytes and takes all of b. It returns false when the
// message has broken its own content-length, so that its connection can't be
// used any further.
func (e *encoder) data(b *network.Buffer, end bool) (ok bool) {
	n := b.Len()
	ok = true
	if e.noBody {
		b.Reset()
		n = 0
	} else if e.left >= 0 {
		if int64(n) > e.left {
			ok = false
		}
		e.left -= min(int64(n), e.left)
		if end && e.left > 0 {
			ok = false
		}
	}
	if n == 0 && !(end && e.chunked) || !ok {
		b.Reset()
		return ok
	}
	out := e.begin()
	before := out.Len()
	if e.chunked {
		if n > 0 {
			appendChunkSize(out, n)
			out.Move(b)
			out.AppendString("\r\n")
		}
		if end {
			out.AppendString("0\r\n\r\n")
		}
	} else {
		out.Move(b)
	}
	e.sent += uint64(out.Len() - before)
	e.flush(out)
	return ok
}

func appendChunkSize(out *network.Buffer, n int) {
	const digits = "0123456789abcdef"
	var line [18]byte
	i := len(line) - 2
	line[i], line[i+1] = '\r', '\n'
	for ; n > 0; n >>= 4 {
		i--
		line[i] = digits[n&15]
	}
	out.Append(line[i:])
}

// trailers ends the message. Trailers exist in chunked framing only.
func (e *encoder) trailers(t *http.HeaderMap) (ok bool) {
	if !e.chunked || !e.set.EnableTrailers {
		if e.chunked {
			out := e.begin()
			out.AppendString("0\r\n\r\n")
			e.sent += uint64(len("0\r\n\r\n"))
			e.flush(out)
		}
		return e.noBody || e.left <= 0
	}
	return e.head(lastChunk, t, "", true)
}
