//go:build oracle

package oracle

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// h2Sender sends requests over one HTTP/2 connection, frame by frame, so that
// cases can send what well-behaved libraries do not.
type h2Sender struct {
	c       net.Conn
	fr      *http2.Framer
	answers map[uint32]*answer
	open    int
	then    map[uint32]int // bytes that are still to be echoed
}

// sendH2 sends the request Streams times on a new connection and returns the
// answers in the order of their streams; what befell the connection is in the
// last.
func (q *request) sendH2(c net.Conn) []answer {
	io.WriteString(c, http2.ClientPreface)
	s := &h2Sender{c: c, fr: http2.NewFramer(c, c), answers: map[uint32]*answer{}, then: map[uint32]int{}}
	s.fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	s.fr.AllowIllegalWrites = true
	s.fr.WriteSettings()
	s.fr.WriteWindowUpdate(0, 1<<29)
	s.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 29})
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for i := range max(1, q.Streams) {
		id := uint32(2*i + 1)
		s.request(q, id, enc, &block)
		s.answers[id] = &answer{}
		s.open++
	}
	last := s.read()
	var out []answer
	for _, id := range slices.Sorted(maps.Keys(s.answers)) {
		out = append(out, *s.answers[id])
	}
	end := &out[len(out)-1]
	end.End, end.GoAway = last.End, last.GoAway
	return out
}

// request writes one request.
func (s *h2Sender) request(q *request, id uint32, enc *hpack.Encoder, block *bytes.Buffer) {
	or := func(v, otherwise string) string {
		switch v {
		case "":
			return otherwise
		case "-": // none at all
			return ""
		}
		return v
	}
	block.Reset()
	for _, f := range [][2]string{{":method", or(q.Method, "GET")}, {":protocol", q.Protocol}, {":scheme", or(q.Scheme, "http")},
		{":path", or(q.Path, "/")}, {":authority", or(q.Host, "a.example")}} {
		if f[1] != "" {
			enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
		}
	}
	writeFields(enc, q.Headers)
	end := q.Body == nil && q.Trailers == nil && !q.Open && q.Then == ""
	s.writeHeaders(id, end, block.Bytes())
	if q.Body != nil {
		s.fr.WriteData(id, q.Trailers == nil && !q.Open, []byte(*q.Body))
	}
	if q.Trailers != nil {
		block.Reset()
		writeFields(enc, q.Trailers)
		s.writeHeaders(id, true, block.Bytes())
	}
	if q.Then != "" {
		s.then[id] = len(q.Then)
		s.fr.WriteData(id, false, []byte(q.Then))
	}
	if q.Cancel {
		s.fr.WriteRSTStream(id, http2.ErrCodeCancel)
	}
}

func (s *h2Sender) writeHeaders(id uint32, end bool, p []byte) {
	const most = 16 << 10
	first := p[:min(len(p), most)]
	p = p[len(first):]
	s.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndStream: end, EndHeaders: len(p) == 0, BlockFragment: first})
	for len(p) > 0 {
		n := min(len(p), most)
		s.fr.WriteContinuation(id, n == len(p), p[:n])
		p = p[n:]
	}
}

// writeFields encodes fields sorted by name.
func writeFields(enc *hpack.Encoder, fields map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		values, ok := fields[name].([]any)
		if !ok {
			values = []any{fields[name]}
		}
		for _, v := range values {
			text, ok := v.(string)
			if !ok {
				text = strconv.FormatFloat(v.(float64), 'f', -1, 64)
			}
			enc.WriteField(hpack.HeaderField{Name: name, Value: text})
		}
	}
}

// read takes frames until every stream has ended, or the connection.
func (s *h2Sender) read() (last answer) {
	for s.open > 0 {
		s.c.SetReadDeadline(time.Now().Add(8 * time.Second))
		f, err := s.fr.ReadFrame()
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				last.End = "timeout"
			} else {
				last.End = "closed"
			}
			return last
		}
		id := f.Header().StreamID
		a := s.answers[id]
		switch f := f.(type) {
		case *http2.GoAwayFrame:
			last.GoAway = f.ErrCode.String()
		case *http2.MetaHeadersFrame:
			s.headers(a, f)
		case *http2.DataFrame:
			s.data(id, a, f)
		case *http2.RSTStreamFrame:
			if a.End == "" {
				a.Reset, a.End = f.ErrCode.String(), "reset"
				s.open--
			}
		}
	}
	return last
}

func (s *h2Sender) headers(a *answer, f *http2.MetaHeadersFrame) {
	var fields [][2]string
	status := 0
	for _, x := range f.Fields {
		if x.Name == ":status" {
			status, _ = strconv.Atoi(x.Value)
			continue
		}
		fields = append(fields, [2]string{x.Name, x.Value})
	}
	switch {
	case a.Status != 0:
		a.Trailers = fields
	case status/100 == 1:
		a.Interim = append(a.Interim, status)
	default:
		a.Status, a.Headers = status, fields
	}
	if f.StreamEnded() {
		s.ended(a)
	}
}

func (s *h2Sender) data(id uint32, a *answer, f *http2.DataFrame) {
	if s.then[id] > 0 {
		a.Then += string(f.Data())
		if s.then[id] -= len(f.Data()); s.then[id] <= 0 { // the echo has come: enough
			s.ended(a)
			return
		}
	} else {
		a.Body += string(f.Data())
	}
	if f.StreamEnded() {
		s.ended(a)
	}
}

func (s *h2Sender) ended(a *answer) {
	if a.End == "" {
		a.End = "ended"
		s.open--
	}
}
