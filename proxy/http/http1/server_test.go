package http1

import (
	"strings"
	"testing"
	"unsafe"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// TestSize bounds what an idle connection's codec takes.
func TestSize(t *testing.T) {
	if n := unsafe.Sizeof(server{}); n > 208 {
		t.Errorf("a server codec takes %d bytes", n)
	}
}

// script is a response in the order its parts are encoded.
type script struct {
	status   string
	fields   []string // name, value, …
	data     []string // "" stands for a call without bytes
	trailers []string
	headOnly bool
}

func (s script) encode(conn *network.Connection, enc http.ResponseEncoder) {
	var h, t http.HeaderMap
	h.Add(http.Status, s.status)
	for i := 0; i+1 < len(s.fields); i += 2 {
		h.AddName(s.fields[i], s.fields[i+1])
	}
	enc.EncodeHeaders(&h, s.headOnly)
	for i, d := range s.data {
		b := conn.Loop().NewBuffer()
		b.AppendString(d)
		enc.EncodeData(b, i == len(s.data)-1 && s.trailers == nil)
	}
	if s.trailers != nil {
		for i := 0; i+1 < len(s.trailers); i += 2 {
			t.AddName(s.trailers[i], s.trailers[i+1])
		}
		enc.EncodeTrailers(&t)
	}
}

// TestEncodeResponse compares what is written with the bytes that real Envoy
// writes for the same.
func TestEncodeResponse(t *testing.T) {
	const get, head, old = "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", "GET / HTTP/1.0\r\nHost: h\r\n\r\n"
	for _, c := range []struct {
		name, request string
		set           Settings
		script        script
		want          string
		open          bool // the connection can carry another request
	}{
		{"length", get, Settings{}, script{status: "200", fields: []string{"content-length", "2"}, data: []string{"ok"}}, "HTTP/1.1 200 OK|content-length: 2||ok", true},
		{"chunked", get, Settings{}, script{status: "200", data: []string{"hello", "", "0123456789abcdef"}}, "HTTP/1.1 200 OK|transfer-encoding: chunked||5|hello|10|0123456789abcdef|0||", true},
		{"chunked, empty end", get, Settings{}, script{status: "200", data: []string{"a", ""}}, "HTTP/1.1 200 OK|transfer-encoding: chunked||1|a|0||", true},
		{"head only", get, Settings{}, script{status: "404", headOnly: true}, "HTTP/1.1 404 Not Found|content-length: 0||", true},
		{"own transfer-encoding is not doubled", get, Settings{}, script{status: "200", fields: []string{"transfer-encoding", "gzip"}, data: []string{"a"}}, "HTTP/1.1 200 OK|transfer-encoding: chunked||1|a|0||", true},
		{"204", get, Settings{}, script{status: "204", headOnly: true}, "HTTP/1.1 204 No Content||", true},
		{"204 with a length", get, Settings{}, script{status: "204", fields: []string{"content-length", "0"}, headOnly: true}, "HTTP/1.1 204 No Content||", true},
		{"304 keeps its length", get, Settings{}, script{status: "304", fields: []string{"content-length", "5"}, headOnly: true}, "HTTP/1.1 304 Not Modified|content-length: 5||", true},
		{"304 without body", get, Settings{}, script{status: "304", data: []string{"dropped"}}, "HTTP/1.1 304 Not Modified||", true},
		{"HEAD keeps its length", head, Settings{}, script{status: "200", fields: []string{"content-length", "5"}, headOnly: true}, "HTTP/1.1 200 OK|content-length: 5||", true},
		{"HEAD drops data", head, Settings{}, script{status: "200", fields: []string{"content-length", "5"}, data: []string{"hello"}}, "HTTP/1.1 200 OK|content-length: 5||", true},
		{"HEAD of a chunked one", head, Settings{}, script{status: "200", data: []string{""}}, "HTTP/1.1 200 OK|transfer-encoding: chunked||", true},
		{"HEAD, head only", head, Settings{}, script{status: "200", headOnly: true}, "HTTP/1.1 200 OK|transfer-encoding: chunked||", true},
		{"unknown status", get, Settings{}, script{status: "299", headOnly: true}, "HTTP/1.1 299 Unknown|content-length: 0||", true},
		{"trailers", get, Settings{EnableTrailers: true}, script{status: "200", data: []string{"a"}, trailers: []string{"grpc-status", "0"}}, "HTTP/1.1 200 OK|transfer-encoding: chunked||1|a|0|grpc-status: 0||", true},
		{"trailers dropped", get, Settings{}, script{status: "200", data: []string{"a"}, trailers: []string{"grpc-status", "0"}}, "HTTP/1.1 200 OK|transfer-encoding: chunked||1|a|0||", true},
		{"proper case", get, Settings{HeaderFormat: HeaderFormat{Case: ProperCase}}, script{status: "200", fields: []string{"x-foo-bar", "a-b"}, headOnly: true}, "HTTP/1.1 200 OK|X-Foo-Bar: a-b|Content-Length: 0||", true},
		{"pseudo-fields stay", get, Settings{}, script{status: "200", fields: []string{":path", "/", ":x", "y"}, headOnly: true}, "HTTP/1.1 200 OK|content-length: 0||", true},
		{"1.0 keep-alive of unknown length", old, Settings{AcceptHTTP10: true}, script{status: "200", data: []string{"abc"}}, "HTTP/1.0 200 OK|connection: close||abc", false},
		{"1.0 with a length", old, Settings{AcceptHTTP10: true}, script{status: "200", fields: []string{"content-length", "1"}, data: []string{"a"}}, "HTTP/1.0 200 OK|content-length: 1||a", true},
		{"line break in a value", get, Settings{}, script{status: "200", fields: []string{"x-a", "b\r\nset-cookie: evil"}, headOnly: true}, "", false},
		{"LF in a name", get, Settings{}, script{status: "200", fields: []string{"x\n", "b"}, headOnly: true}, "", false},
		{"NUL in a value", get, Settings{}, script{status: "200", fields: []string{"x", "\x00"}, headOnly: true}, "", false},
		{"longer than its length", get, Settings{}, script{status: "200", fields: []string{"content-length", "2"}, data: []string{"abc"}}, "HTTP/1.1 200 OK|content-length: 2||", false},
		{"nothing of its length", get, Settings{}, script{status: "200", fields: []string{"content-length", "2"}, headOnly: true}, "HTTP/1.1 200 OK|content-length: 2||", false},
		{"shorter than its length", get, Settings{}, script{status: "200", fields: []string{"content-length", "2"}, data: []string{"a", ""}}, "HTTP/1.1 200 OK|content-length: 2||a", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := newConn(t)
			m := &manager{t: t}
			m.respond = func(enc http.ResponseEncoder) { c.script.encode(conn, enc) }
			in := conn.Loop().NewBuffer()
			in.AppendString(c.request)
			out := conn.Out() // which a closing connection does not give any more
			if err := NewServer(conn, m, &c.set).Dispatch(in); err != nil {
				t.Fatal(err)
			}
			written := strings.ReplaceAll(string(out.Bytes()), "\r\n", "|")
			if written != c.want {
				t.Errorf("wrote %q\nwant  %q", written, c.want)
			}
			if conn.Open() != c.open {
				t.Errorf("the connection is open: %v", conn.Open())
			}
		})
	}
}

// TestEncodeRequest is the same for requests.
func TestEncodeRequest(t *testing.T) {
	line := func(method, path string, more ...string) []string {
		return append([]string{":method", method, ":path", path, ":scheme", "http", ":authority", "h"}, more...)
	}
	for _, c := range []struct {
		name   string
		set    Settings
		fields []string
		data   []string // nil: head only
		want   string   // "" for an error
	}{
		{"get", Settings{}, line("GET", "/"), nil, "GET / HTTP/1.1|host: h||"},
		{"delete", Settings{}, line("DELETE", "/"), nil, "DELETE / HTTP/1.1|host: h||"},
		{"post without body", Settings{}, line("POST", "/"), nil, "POST / HTTP/1.1|host: h|content-length: 0||"},
		{"options without body", Settings{}, line("OPTIONS", "*"), nil, "OPTIONS * HTTP/1.1|host: h|content-length: 0||"},
		{"chunked", Settings{}, line("POST", "/"), []string{"abc"}, "POST / HTTP/1.1|host: h|transfer-encoding: chunked||3|abc|0||"},
		{"sized", Settings{}, line("POST", "/", "content-length", "3"), []string{"a", "bc"}, "POST / HTTP/1.1|host: h|content-length: 3||abc"},
		{"connect", Settings{}, []string{":method", "CONNECT", ":authority", "h:1"}, []string{"raw"}, "CONNECT h:1 HTTP/1.1|host: h:1||raw"},
		{"upgrade", Settings{}, line("GET", "/", "connection", "Upgrade", "upgrade", "websocket"), []string{"raw"}, "GET / HTTP/1.1|host: h|connection: Upgrade|upgrade: websocket||raw"},
		{"absolute form", Settings{AbsoluteForm: true}, line("GET", "/x"), nil, "GET http://h/x HTTP/1.1|host: h||"},
		{"a second host line is not written", Settings{}, line("GET", "/", "host", "evil"), nil, "GET / HTTP/1.1|host: h||"},
		{"no method", Settings{}, []string{":path", "/"}, nil, ""},
		{"no path", Settings{}, []string{":method", "GET"}, nil, ""},
		{"space in path", Settings{}, line("GET", "/ HTTP/1.1\r\nx: y"), nil, ""},
		{"line break in method", Settings{}, line("GET\n", "/"), nil, ""},
		{"line break in value", Settings{}, line("GET", "/", "x", "a\nb"), nil, ""},
		{"CR in value", Settings{}, line("GET", "/", "x", "a\rb"), nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, u := newConn(t), &user{}
			var h http.HeaderMap
			for i := 0; i+1 < len(c.fields); i += 2 {
				h.AddName(c.fields[i], c.fields[i+1])
			}
			out := conn.Out()
			enc := NewClient(conn, u, &c.set).NewStream(u)
			err := enc.EncodeHeaders(&h, c.data == nil)
			for i, d := range c.data {
				b := conn.Loop().NewBuffer()
				b.AppendString(d)
				enc.EncodeData(b, i == len(c.data)-1)
			}
			got := strings.ReplaceAll(string(out.Bytes()), "\r\n", "|")
			if (err != nil) != (c.want == "") || got != c.want {
				t.Errorf("wrote %q, %v\nwant  %q", got, err, c.want)
			}
		})
	}
}

// TestLargeHead encodes a head that is larger than a slab.
func TestLargeHead(t *testing.T) {
	conn, u := newConn(t), &user{}
	var h http.HeaderMap
	request(&h)
	long := strings.Repeat("x", 3*network.SlabSize)
	h.AddName("x-long", long)
	if err := NewClient(conn, u, &Settings{}).NewStream(u).EncodeHeaders(&h, true); err != nil {
		t.Fatal(err)
	}
	if got := string(conn.Out().Bytes()); !strings.HasSuffix(got, "x-long: "+long+"\r\n\r\n") {
		t.Errorf("%d bytes were written", len(got))
	}
}

// TestPipelineWaits holds the second request back until the first is answered.
func TestPipelineWaits(t *testing.T) {
	conn := newConn(t)
	m := &manager{t: t, later: true}
	codec := NewServer(conn, m, &Settings{})
	in := conn.Loop().NewBuffer()
	in.AppendString("GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n")
	if err := codec.Dispatch(in); err != nil {
		t.Fatal(err)
	}
	if m.begun != 1 || conn.ReadEnabled() {
		t.Fatalf("%d requests begun, reading %v", m.begun, conn.ReadEnabled())
	}
	m.answer()
	if !conn.ReadEnabled() {
		t.Fatal("reading is not enabled again")
	}
	if err := codec.Dispatch(in); err != nil || len(m.messages) != 2 || in.Len() != 0 {
		t.Fatalf("%v, %d requests, %d bytes left", err, len(m.messages), in.Len())
	}
}

// TestTunnel upgrades: bytes before the answer wait, those after it are raw.
func TestTunnel(t *testing.T) {
	for name, c := range map[string]struct{ request, status string }{
		"upgrade": {"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", "101"},
		"connect": {"CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n", "200"},
	} {
		t.Run(name, func(t *testing.T) {
			conn := newConn(t)
			m := &manager{t: t}
			codec := NewServer(conn, m, &Settings{})
			in := conn.Loop().NewBuffer()
			in.AppendString(c.request + "early")
			if err := codec.Dispatch(in); err != nil {
				t.Fatal(err)
			}
			if got := m.cur.body; got != "" || in.Len() != 5 {
				t.Fatalf("%q came through before the answer", got)
			}
			var h http.HeaderMap
			h.Add(http.Status, c.status)
			m.enc.EncodeHeaders(&h, false)
			if err := codec.Dispatch(in); err != nil || m.cur.body != "early" {
				t.Fatalf("%v, %q", err, m.cur.body)
			}
			if got := string(conn.Out().Bytes()); strings.Contains(got, "content-length") || strings.Contains(got, "chunked") {
				t.Errorf("the answer is framed: %q", got)
			}
			if err := codec.Dispatch(conn.Loop().NewBuffer()); err != nil || !m.cur.done {
				t.Errorf("the end of the client's side is not told: %v", err)
			}
			m.enc.EncodeData(conn.Loop().NewBuffer(), true)
			if conn.Open() {
				t.Error("the connection outlives both ends of its tunnel")
			}
		})
	}
}

// TestEarlyResponse answers before the request has come whole: the rest is
// not read, and the reset of the stream closes behind the response.
func TestEarlyResponse(t *testing.T) {
	conn := newConn(t)
	m := &manager{t: t}
	m.onHead = func(*http.HeaderMap) { m.answer() }
	codec := NewServer(conn, m, &Settings{})
	in := conn.Loop().NewBuffer()
	in.AppendString("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nHost: h\r\n\r\n")
	if err := codec.Dispatch(in); err != nil {
		t.Fatal(err)
	}
	if m.begun != 1 || m.cur.body != "" {
		t.Errorf("%d requests, body %q", m.begun, m.cur.body)
	}
	out := conn.Out()
	m.enc.ResetStream(http.LocalReset)
	if conn.Open() || out.Len() == 0 {
		t.Errorf("open %v, %d bytes to go out", conn.Open(), out.Len())
	}
}

// TestInterim sends 100 before the response.
func TestInterim(t *testing.T) {
	conn := newConn(t)
	m := &manager{t: t}
	m.onHead = func(*http.HeaderMap) {
		var h http.HeaderMap
		h.Add(http.Status, "100")
		m.enc.Encode1xxHeaders(&h)
	}
	in := conn.Loop().NewBuffer()
	in.AppendString("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na")
	if err := NewServer(conn, m, &Settings{}).Dispatch(in); err != nil {
		t.Fatal(err)
	}
	if got := string(conn.Out().Bytes()); got != "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n" {
		t.Errorf("%q", got)
	}
}

// TestCounters checks what is counted.
func TestCounters(t *testing.T) {
	var dropped, rejected uint64
	conn := newConn(t)
	counters := Counters{DroppedHeadersWithUnderscores: &dropped, RequestsRejectedWithUnderscore: &rejected}
	raw := []byte("GET / HTTP/1.1\r\nHost: h\r\na_b: 1\r\nc_d: 1\r\n\r\n")
	feed(t, conn, raw, &Settings{Underscores: DropUnderscores, Counters: counters}, false)
	feed(t, newConn(t), raw, &Settings{Underscores: RejectUnderscores, Counters: counters}, false)
	if dropped != 2 || rejected != 1 {
		t.Errorf("dropped %d, rejected %d", dropped, rejected)
	}
}
