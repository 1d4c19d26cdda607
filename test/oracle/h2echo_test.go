//go:build oracle

package oracle

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/weirproxy/weir/internal/tcprig"
)

// h2Echo is an echo over HTTP/2 by prior knowledge. Of x-do it knows status,
// delay, header, body, trailer, reset (=CODE, a number), goaway (no further
// stream after this one), early (answers before the request has ended),
// interim=103, frames (tells what else it has received since the case began), headers-only, cut=CODE (RST_STREAM within the body) and fail=N; with refuse=N it refuses the first N
// streams of the path. It answers extended CONNECT, and CONNECT, by 200 and
// echoes what follows.
type h2Echo struct {
	*echo
}

// h2EchoConn is one of its connections.
type h2EchoConn struct {
	e     *echo
	nth   int           // of the server's connections
	mu    sync.Mutex    // of what is written
	began bool          // a request has come
	out   *bufio.Writer // so that an answer leaves in one piece
	fr    *http2.Framer
	enc   *hpack.Encoder
	buf   bytes.Buffer
}

// h2EchoStream is a request under way.
type h2EchoStream struct {
	id       uint32
	line     [3]string // method, path, protocol
	headers  [][2]string
	body     bytes.Buffer
	trailers [][2]string
	tunnel   bool
	answered bool
}

// startH2Echo starts one; over TLS when c is not nil.
func startH2Echo(t *testing.T, name string, c *tls.Config) (e *echo, port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if c != nil {
		l = tls.NewListener(l, c)
	}
	e = &echo{name: name, seen: map[string]int{}}
	tcprig.Serve(t, l, h2Echo{e}.serve)
	return e, l.Addr().(*net.TCPAddr).Port
}

func (e h2Echo) serve(c net.Conn) {
	defer c.Close()
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(c, preface); err != nil || string(preface) != http2.ClientPreface {
		return
	}
	e.mu.Lock()
	e.conns++
	h := &h2EchoConn{e: e.echo, nth: e.conns, out: bufio.NewWriterSize(c, 64<<10)}
	e.mu.Unlock()
	h.fr = http2.NewFramer(h.out, c)
	h.fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	h.enc = hpack.NewEncoder(&h.buf)
	h.fr.WriteSettings(http2.Setting{ID: http2.SettingEnableConnectProtocol, Val: 1}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 24})
	h.fr.WriteWindowUpdate(0, 1<<28)
	streams := map[uint32]*h2EchoStream{}
	for {
		f, err := h.fr.ReadFrame()
		if err != nil {
			h.noted("closed")
			return
		}
		h.note(f)
		h.mu.Lock()
		s := streams[f.Header().StreamID]
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				if n, ok := f.Value(http2.SettingHeaderTableSize); ok {
					h.enc.SetMaxDynamicTableSizeLimit(n)
				}
				h.fr.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				h.fr.WritePing(true, f.Data)
			}
		case *http2.MetaHeadersFrame:
			if s == nil {
				s = &h2EchoStream{id: f.StreamID}
				streams[f.StreamID] = s
			}
			h.headers(s, f)
		case *http2.DataFrame:
			if s != nil {
				h.data(s, f)
			}
		}
		h.out.Flush()
		h.mu.Unlock()
	}
}

// note remembers a frame that is of interest in itself.
func (h *h2EchoConn) note(f http2.Frame) {
	id := f.Header().StreamID
	switch f := f.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() {
			text := "SETTINGS"
			f.ForeachSetting(func(s http2.Setting) error { text += fmt.Sprintf(" %v=%d", s.ID, s.Val); return nil })
			h.noted(text)
		}
	case *http2.WindowUpdateFrame:
		if id == 0 && !h.began {
			h.noted(fmt.Sprintf("WINDOW_UPDATE %d", f.Increment))
		}
	case *http2.MetaHeadersFrame:
		h.began = true
	case *http2.PingFrame:
		h.noted("PING")
	case *http2.RSTStreamFrame:
		h.noted(fmt.Sprintf("RST_STREAM %d %v", id, f.ErrCode))
	case *http2.GoAwayFrame:
		h.noted(fmt.Sprintf("GOAWAY %d %v", f.LastStreamID, f.ErrCode))
	}
}

func (h *h2EchoConn) noted(text string) {
	h.e.mu.Lock()
	defer h.e.mu.Unlock()
	h.e.frames = append(h.e.frames, fmt.Sprintf("%d: %s", h.nth, text))
}

func (h *h2EchoConn) headers(s *h2EchoStream, f *http2.MetaHeadersFrame) {
	first := s.headers == nil
	for _, x := range f.Fields {
		switch {
		case x.Name == ":method":
			s.line[0] = x.Value
		case x.Name == ":path":
			s.line[1] = x.Value
		case x.Name == ":protocol":
			s.line[2] = " " + x.Value
		case first:
			s.headers = append(s.headers, [2]string{x.Name, x.Value})
		default:
			s.trailers = append(s.trailers, [2]string{x.Name, x.Value})
		}
	}
	do := verbs(field(s.headers, "x-do"))
	if first && s.line[0] == "CONNECT" {
		s.tunnel = true
		h.write(s.id, false, [][2]string{{":status", "200"}})
	}
	_, early := do["early"]
	if !s.tunnel && (f.StreamEnded() || early) {
		h.answer(s, do)
	}
}

func (h *h2EchoConn) data(s *h2EchoStream, f *http2.DataFrame) {
	if s.tunnel {
		h.fr.WriteData(s.id, f.StreamEnded(), f.Data())
		return
	}
	s.body.Write(f.Data())
	if f.StreamEnded() {
		h.answer(s, verbs(field(s.headers, "x-do")))
	}
}

// write sends a header section.
func (h *h2EchoConn) write(id uint32, end bool, fields [][2]string) {
	h.buf.Reset()
	for _, f := range fields {
		h.enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	h.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndStream: end, EndHeaders: true, BlockFragment: h.buf.Bytes()})
}

// answer writes the response, later when that is asked for.
func (h *h2EchoConn) answer(s *h2EchoStream, do map[string][]string) {
	if s.answered {
		return
	}
	s.answered = true
	wait, ok := do["delay"]
	if !ok {
		h.respond(s, do)
		return
	}
	seconds, _ := strconv.ParseFloat(wait[0], 64)
	time.AfterFunc(time.Duration(seconds*float64(time.Second)), func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.respond(s, do)
		h.out.Flush()
	})
}

func (h *h2EchoConn) respond(s *h2EchoStream, do map[string][]string) {
	h.e.mu.Lock()
	h.e.seen[s.line[1]]++
	seen := h.e.seen[s.line[1]]
	h.e.mu.Unlock()
	if n, ok := do["refuse"]; ok && seen <= number(n[0]) {
		h.fr.WriteRSTStream(s.id, http2.ErrCodeRefusedStream)
		return
	}
	if code, ok := do["reset"]; ok {
		h.fr.WriteRSTStream(s.id, http2.ErrCode(number(code[0])))
		return
	}
	if _, ok := do["goaway"]; ok {
		h.fr.WriteGoAway(s.id, http2.ErrCodeNo, nil)
	}
	status := "200"
	if v, ok := do["status"]; ok {
		status = v[0]
	}
	if n, ok := do["fail"]; ok && seen <= number(n[0]) {
		status = "503"
	}
	if v, ok := do["interim"]; ok {
		h.write(s.id, false, [][2]string{{":status", v[0]}, {"link", "</x>"}})
	}
	fields := [][2]string{{":status", status}, {"content-type", "application/json"}}
	for _, x := range do["header"] {
		name, value, _ := strings.Cut(x, ":")
		fields = append(fields, [2]string{name, value})
	}
	_, only := do["headers-only"]
	h.write(s.id, only || s.line[0] == "HEAD", fields)
	if only || s.line[0] == "HEAD" {
		return
	}
	body := s.body.String()
	if len(body) >= 4096 {
		body = fmt.Sprintf("%d bytes", len(body))
	}
	r := received{Server: h.e.name, Line: s.line[0] + " " + s.line[1] + s.line[2] + " HTTP/2", Headers: s.headers, Body: body, Trailers: s.trailers}
	if _, ok := do["frames"]; ok {
		h.e.mu.Lock()
		r.Frames = slices.Clone(h.e.frames)
		h.e.mu.Unlock()
	}
	out, _ := json.Marshal(r)
	if n, ok := do["body"]; ok {
		out = []byte(strings.Repeat("x", number(n[0])))
	}
	var trailers [][2]string
	for _, x := range do["trailer"] {
		name, value, _ := strings.Cut(x, ":")
		trailers = append(trailers, [2]string{name, value})
	}
	if code, ok := do["cut"]; ok {
		h.fr.WriteData(s.id, false, out)
		h.out.Flush()
		time.Sleep(100 * time.Millisecond)
		h.fr.WriteRSTStream(s.id, http2.ErrCode(number(code[0])))
		return
	}
	for len(out) > 16<<10 {
		h.fr.WriteData(s.id, false, out[:16<<10])
		out = out[16<<10:]
	}
	h.fr.WriteData(s.id, trailers == nil, out)
	if trailers != nil {
		h.write(s.id, true, trailers)
	}
}

func number(s string) int { n, _ := strconv.Atoi(s); return n }

func field(list [][2]string, name string) string {
	for _, h := range list {
		if h[0] == name {
			return h[1]
		}
	}
	return ""
}
