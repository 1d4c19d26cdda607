package http1

import (
	"testing"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

const smallRequest = "GET /api/v1/users/12345?expand=profile HTTP/1.1\r\n" +
	"Host: users.default.svc.cluster.local\r\n" +
	"User-Agent: curl/8.5.0\r\n" +
	"Accept: */*\r\n" +
	"Accept-Encoding: gzip, deflate, br\r\n" +
	"X-Request-Id: 7ac2ac49-46b4-4bc5-97d0-966f1619016d\r\n" +
	"X-B3-Traceid: 463ac35c9f6413ad48485a3953bb6124\r\n" +
	"Authorization: Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9\r\n\r\n"

const smallResponse = "HTTP/1.1 200 OK\r\n" +
	"Content-Type: application/json\r\n" +
	"Content-Length: 5\r\n" +
	"Date: Tue, 24 Nov 2026 08:28:26 GMT\r\n" +
	"Cache-Control: no-cache\r\n" +
	"X-Powered-By: weir\r\n\r\nhello"

// sink takes requests and responses without keeping anything.
type sink struct {
	enc      http.ResponseEncoder
	req, res http.HeaderMap
	out      http.HeaderMap
	body     *network.Buffer
	requests int
}

func newSink(conn *network.Connection) *sink {
	s := &sink{body: conn.Loop().NewBuffer()}
	s.out.Add(http.Status, "200")
	s.out.AddName("content-type", "application/json")
	s.out.Add(http.ContentLength, "5")
	s.out.Add(http.Date, "Tue, 24 Nov 2026 08:28:26 GMT")
	s.out.Add(http.Server, "envoy")
	s.out.Add(http.XEnvoyUpstreamServiceTime, "3")
	return s
}

func (s *sink) NewStream(enc http.ResponseEncoder) http.RequestDecoder {
	s.enc = enc
	s.req.Reset()
	return s
}
func (s *sink) OnGoAway(uint32)                        {}
func (s *sink) OnStreamEnd(bool)                       {}
func (s *sink) OnMaxStreams(uint32)                    {}
func (s *sink) RequestHeaders() *http.HeaderMap        { return &s.req }
func (s *sink) RequestTrailers() *http.HeaderMap       { return &s.res }
func (s *sink) ResponseHeaders() *http.HeaderMap       { return &s.req }
func (s *sink) ResponseTrailers() *http.HeaderMap      { return &s.res }
func (s *sink) Decode1xxHeaders()                      {}
func (s *sink) DecodeTrailers(*http.HeaderMap)         {}
func (s *sink) SendLocalReply(int, string, string)     { panic("refused") }
func (s *sink) DecodeHeaders(end bool)                 { s.answer(end) }
func (s *sink) DecodeData(_ *network.Buffer, end bool) { s.answer(end) }

func (s *sink) answer(end bool) {
	if !end || s.enc == nil {
		return
	}
	s.requests++
	s.enc.EncodeHeaders(&s.out, false)
	s.body.AppendString("hello")
	s.enc.EncodeData(s.body, true)
}

// serverTurn returns a function that takes one request through a server codec.
func serverTurn(tb testing.TB, raw string) func() {
	conn := newConn(tb)
	s := newSink(conn)
	codec := NewServer(conn, s, &Settings{})
	in := conn.Loop().NewBuffer()
	return func() {
		in.AppendString(raw)
		if err := codec.Dispatch(in); err != nil {
			tb.Fatal(err)
		}
		conn.Out().Reset()
	}
}

// clientTurn returns a function that sends one request and takes its response.
func clientTurn(tb testing.TB, raw string) func() {
	conn := newConn(tb)
	s := newSink(conn)
	codec := NewClient(conn, s, &Settings{})
	in := conn.Loop().NewBuffer()
	var h http.HeaderMap
	request(&h)
	return func() {
		s.req.Reset()
		if err := codec.NewStream(s).EncodeHeaders(&h, true); err != nil {
			tb.Fatal(err)
		}
		conn.Out().Reset()
		in.AppendString(raw)
		if err := codec.Dispatch(in); err != nil {
			tb.Fatal(err)
		}
	}
}

func request(h *http.HeaderMap) {
	h.Add(http.Method, "GET")
	h.Add(http.Path, "/api/v1/users/12345?expand=profile")
	h.Add(http.Scheme, "http")
	h.Add(http.Authority, "users.default.svc.cluster.local")
	h.Add(http.UserAgent, "curl/8.5.0")
	h.Add(http.Accept, "*/*")
	h.Add(http.AcceptEncoding, "gzip, deflate, br")
	h.Add(http.XRequestID, "7ac2ac49-46b4-4bc5-97d0-966f1619016d")
	h.AddName("x-b3-traceid", "463ac35c9f6413ad48485a3953bb6124")
	h.Add(http.Authorization, "Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9")
}

const chunkedRequest = "POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n"

// TestNoAllocations holds the steady state of both codecs to none.
func TestNoAllocations(t *testing.T) {
	for name, turn := range map[string]func(){
		"server":          serverTurn(t, smallRequest),
		"server chunked":  serverTurn(t, chunkedRequest),
		"server pipeline": serverTurn(t, smallRequest+smallRequest+smallRequest),
		"client":          clientTurn(t, smallResponse),
		"client chunked":  clientTurn(t, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
	} {
		for range 10 {
			turn()
		}
		if n := testing.AllocsPerRun(100, turn); n != 0 {
			t.Errorf("%s: %v allocations a message", name, n)
		}
	}
}

func BenchmarkServer(b *testing.B) {
	turn := serverTurn(b, smallRequest)
	b.ReportAllocs()
	for b.Loop() {
		turn()
	}
}

func BenchmarkClient(b *testing.B) {
	turn := clientTurn(b, smallResponse)
	b.ReportAllocs()
	for b.Loop() {
		turn()
	}
}

func BenchmarkParseRequest(b *testing.B) {
	var h http.HeaderMap
	var set Settings
	b.ReportAllocs()
	for b.Loop() {
		h.Reset()
		raw := h.Alloc(len(smallRequest))
		copy(raw, smallRequest)
		if n := headEnd(raw, 0); n != len(raw) {
			b.Fatal(n)
		}
		if _, err := parseRequest(&h, raw, &set); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeResponse(b *testing.B) {
	conn := newConn(b)
	s := newSink(conn)
	e := encoder{conn: conn, set: &Settings{}}
	start := []string{"HTTP/1.1 ", "200", " ", "OK", "\r\n"}
	b.ReportAllocs()
	for b.Loop() {
		e.head(start, &s.out, "", false)
		conn.Out().Reset()
	}
}

func BenchmarkEncodeRequest(b *testing.B) {
	conn := newConn(b)
	e := encoder{conn: conn, set: &Settings{}}
	var h http.HeaderMap
	request(&h)
	start := []string{"GET", " ", "/api/v1/users/12345?expand=profile", " HTTP/1.1\r\n"}
	b.ReportAllocs()
	for b.Loop() {
		e.head(start, &h, "", false)
		conn.Out().Reset()
	}
}
