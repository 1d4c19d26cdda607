package http2

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/weirproxy/weir/proxy/http"
)

// TestServer feeds requests to a server: what its user gets, and what the
// peer gets back, must not depend on how the bytes are cut.
func TestServer(t *testing.T) {
	ok := []string{"HEADERS 1 end :status=200"}
	goAway := func(last int, code string) []string { return []string{fmt.Sprintf("GOAWAY %d %s", last, code)} }
	for _, c := range []struct {
		name   string
		set    func(*Settings)
		send   func(*wire)
		log    string   // of the user; "" nothing
		frames []string // nil: the connection ends without any
	}{
		{"get", nil, func(w *wire) { w.head(1, true, get...) }, ":method=GET :scheme=http :authority=a :path=/x", ok},
		{"body", nil, func(w *wire) {
			w.head(1, false, post...)
			w.WriteData(1, false, []byte("abc"))
			w.WriteData(1, true, []byte("de"))
		},
			":method=POST :scheme=http :authority=a :path=/x | 5 bytes", ok},
		{"padded body", nil, func(w *wire) { w.head(1, false, post...); w.WriteDataPadded(1, true, []byte("abc"), make([]byte, 100)) },
			":method=POST :scheme=http :authority=a :path=/x | 3 bytes", ok},
		{"trailers", nil, func(w *wire) {
			w.head(1, false, post...)
			w.WriteData(1, false, []byte("abc"))
			w.head(1, true, "x-t: v", "host: h")
		},
			":method=POST :scheme=http :authority=a :path=/x | 3 bytes | x-t=v", ok},
		{"cookies are joined", nil, func(w *wire) { w.head(1, true, with(get, "cookie: a=1", "x: y", "cookie: b=2")...) },
			":method=GET :scheme=http :authority=a :path=/x x=y cookie=a=1; b=2", ok},
		{"host stands for authority", nil, func(w *wire) { w.head(1, true, ":method: GET", ":scheme: http", ":path: /", "host: h") },
			":method=GET :scheme=http :path=/ :authority=h", ok},
		{"continuation", nil, func(w *wire) {
			p := w.fields(with(get, "x-long: "+strings.Repeat("v", 300))...)
			w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndStream: true, BlockFragment: p[:7]})
			w.WriteContinuation(1, false, p[7:100])
			w.WriteContinuation(1, true, p[100:])
		}, ":method=GET :scheme=http :authority=a :path=/x x-long=" + strings.Repeat("v", 300), ok},
		{"extended CONNECT is an upgrade", func(s *Settings) { s.AllowConnect = true }, func(w *wire) {
			w.head(1, false, ":method: CONNECT", ":protocol: websocket", ":scheme: http", ":authority: a", ":path: /ws")
			w.WriteData(1, true, nil)
		}, ":method=GET :scheme=http :authority=a :path=/ws upgrade=websocket connection=upgrade", ok},
		{"extended CONNECT off", nil, func(w *wire) {
			w.head(1, false, ":method: CONNECT", ":protocol: websocket", ":scheme: http", ":authority: a", ":path: /ws")
		}, "", nil},
		{"CONNECT", nil, func(w *wire) { w.head(1, true, ":method: CONNECT", ":authority: a:1") }, ":method=CONNECT :authority=a:1", ok},
		{"CONNECT with a path", nil, func(w *wire) { w.head(1, true, ":method: CONNECT", ":authority: a:1", ":path: /") }, "", nil},

		{"upper case name", nil, func(w *wire) { w.head(1, true, with(get, "X-A: b")...) }, "", nil},
		{"the stream only", func(s *Settings) { s.StreamErrors = true }, func(w *wire) { w.head(1, true, with(get, "X-A: b")...) },
			"reset: protocol error http2.invalid.header.field", []string{"RST 1 PROTOCOL_ERROR"}},
		{"connection field", nil, func(w *wire) { w.head(1, true, with(get, "connection: close")...) }, "", nil},
		{"transfer-encoding", nil, func(w *wire) { w.head(1, true, with(get, "transfer-encoding: chunked")...) }, "", nil},
		{"te", nil, func(w *wire) { w.head(1, true, with(get, "te: gzip")...) }, "", nil},
		{"te trailers", nil, func(w *wire) { w.head(1, true, with(get, "te: trailers")...) }, ":method=GET :scheme=http :authority=a :path=/x te=trailers", ok},
		{"line break in a value", nil, func(w *wire) { w.head(1, true, with(get, "x: a\r\nb: c")...) }, "", nil},
		{"NUL in a value", nil, func(w *wire) { w.head(1, true, with(get, "x: a\x00b")...) }, "", nil},
		{"space in a name", nil, func(w *wire) { w.head(1, true, with(get, "x y: a")...) }, "", nil},
		{"space in the path", nil, func(w *wire) { w.head(1, true, ":method: GET", ":scheme: http", ":authority: a", ":path: /a b") }, "", nil},
		{"empty path", nil, func(w *wire) { w.head(1, true, ":method: GET", ":scheme: http", ":authority: a", ":path: ") }, "", nil},
		{"no method", nil, func(w *wire) { w.head(1, true, ":scheme: http", ":authority: a", ":path: /") }, "", nil},
		{"status in a request", nil, func(w *wire) { w.head(1, true, with(get, ":status: 200")...) }, "", nil},
		{"pseudo-header twice", nil, func(w *wire) { w.head(1, true, with(get, ":path: /y")...) }, "", nil},
		{"pseudo-header behind a field", nil, func(w *wire) { w.head(1, true, with([]string{"x: y"}, get...)...) }, "", nil},
		{"body longer than its length", nil, func(w *wire) {
			w.head(1, false, with(post, "content-length: 2")...)
			w.WriteData(1, true, []byte("abc"))
		},
			"reset: protocol error http2.remote_reset", []string{"RST 1 PROTOCOL_ERROR"}},
		{"body shorter", nil, func(w *wire) {
			w.head(1, false, with(post, "content-length: 4")...)
			w.WriteData(1, true, []byte("abc"))
		},
			"reset: protocol error http2.remote_reset", []string{"RST 1 PROTOCOL_ERROR"}},
		{"two lengths", nil, func(w *wire) { w.head(1, false, with(post, "content-length: 4", "content-length: 4")...) }, "", nil},
		{"length +1", nil, func(w *wire) { w.head(1, false, with(post, "content-length: +1")...) }, "", nil},
		{"101 fields", nil, func(w *wire) {
			lines := slices.Clone(get)
			for i := range 97 {
				lines = append(lines, fmt.Sprintf("x-%d: v", i))
			}
			w.head(1, true, lines...)
		}, "reset: remote reset http2.too_many_headers", []string{"RST 1 INTERNAL_ERROR"}},
		{"61 kB of fields", nil, func(w *wire) {
			p := w.fields(with(get, "x: "+strings.Repeat("~", 61<<10))...)
			w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndStream: true, BlockFragment: p[:10000]})
			for p = p[10000:]; len(p) > 10000; p = p[10000:] {
				w.WriteContinuation(1, false, p[:10000])
			}
			w.WriteContinuation(1, true, p)
		}, "reset: remote reset http2.too_many_headers", []string{"RST 1 INTERNAL_ERROR"}},
		{"underscore refused", func(s *Settings) { s.Underscores = RejectUnderscores }, func(w *wire) { w.head(1, true, with(get, "x_y: v")...) },
			"reset: remote reset http2.unexpected_underscore", []string{"RST 1 INTERNAL_ERROR"}},
		{"underscore dropped", func(s *Settings) { s.Underscores = DropUnderscores }, func(w *wire) { w.head(1, true, with(get, "x_y: v")...) },
			":method=GET :scheme=http :authority=a :path=/x", ok},

		{"even stream", nil, func(w *wire) { w.head(2, true, get...) }, "", goAway(0, "PROTOCOL_ERROR")},
		{"stream number goes back", nil, func(w *wire) { w.head(3, true, get...); w.head(1, true, get...) }, ":method=GET :scheme=http :authority=a :path=/x",
			[]string{"HEADERS 3 end :status=200", "GOAWAY 3 STREAM_CLOSED"}},
		{"data on an idle stream", nil, func(w *wire) { w.WriteData(1, true, nil) }, "", goAway(0, "PROTOCOL_ERROR")},
		{"data behind the end", nil, func(w *wire) { w.head(1, true, get...); w.WriteData(1, true, nil) }, ":method=GET :scheme=http :authority=a :path=/x",
			[]string{"HEADERS 1 end :status=200", "RST 1 STREAM_CLOSED"}},
		{"ping", nil, func(w *wire) { w.WritePing(false, [8]byte{1}) }, "", []string{"PING ack=true"}},
		{"headers interrupted", nil, func(w *wire) {
			w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: w.fields(get...)})
			w.WritePing(false, [8]byte{})
		}, "", goAway(1, "PROTOCOL_ERROR")},
		{"frame too long", nil, func(w *wire) { w.head(1, false, post...); w.WriteData(1, false, make([]byte, 16385)) }, "", goAway(1, "FRAME_SIZE_ERROR")},
		{"push", nil, func(w *wire) { w.WritePushPromise(http2.PushPromiseParam{StreamID: 1, PromiseID: 2, EndHeaders: true}) }, "", goAway(0, "PROTOCOL_ERROR")},
		{"window of the connection overflows", nil, func(w *wire) { w.WriteWindowUpdate(0, 1<<31-1) }, "", goAway(0, "FLOW_CONTROL_ERROR")},
		{"not HPACK", nil, func(w *wire) {
			w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndHeaders: true, BlockFragment: []byte{0xff, 0xff, 0xff}})
		},
			"", goAway(1, "COMPRESSION_ERROR")},
		{"depends on itself", nil, func(w *wire) {
			w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndStream: true, EndHeaders: true, BlockFragment: w.fields(get...), Priority: http2.PriorityParam{StreamDep: 1, Weight: 1}})
		}, "reset: protocol error http2.unknown.nghttp2.error", []string{"RST 1 PROTOCOL_ERROR"}},
		{"too many streams", func(s *Settings) { s.MaxStreams = 1 }, func(w *wire) { w.head(1, false, post...); w.head(3, false, post...) }, "", []string{"RST 3 REFUSED_STREAM"}},
		{"reset", nil, func(w *wire) { w.head(1, false, post...); w.WriteRSTStream(1, http2.ErrCodeCancel) }, "reset: remote reset http2.remote_reset", nil},
		{"unknown frame", nil, func(w *wire) { w.WriteRawFrame(0xfe, 0, 7, []byte("x")); w.head(1, true, get...) }, ":method=GET :scheme=http :authority=a :path=/x", ok},
		{"first frame", nil, func(w *wire) { w.Buffer.Reset(); w.WriteString(preface); w.WritePing(false, [8]byte{}) }, "", goAway(0, "PROTOCOL_ERROR")},
		{"preface", nil, func(w *wire) { w.Buffer.Reset(); w.WriteString("PRI * HTTP/2.0\r\n\r\nXX") }, "", goAway(0, "PROTOCOL_ERROR")},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, step := range []int{1 << 20, 1, 2, 3, 7, 8, 9, 10, 13} {
				r := newServerRig(t, c.set)
				c.send(r.w)
				var cuts []int
				if n := r.w.Buffer.Len(); n < 20000 || step > 7 {
					for at := step; at < n; at += step {
						cuts = append(cuts, at)
					}
				}
				r.send(cuts...)
				if got := strings.Join(r.u.log, "\n"); got != c.log {
					t.Errorf("cut by %d: the user got\n%s\nwant\n%s", step, got, c.log)
				}
				r.expect(c.frames...)
				if c.frames == nil && r.err == nil && !strings.HasPrefix(c.log, "reset") {
					t.Error("the connection goes on")
				}
				if t.Failed() {
					return
				}
			}
		})
	}
}

// TestEarlyResponse ends a response before its request: the rest of the
// request is awaited a little, and taken.
func TestEarlyResponse(t *testing.T) {
	r := newServerRig(t, nil)
	r.u.onHead = func(x *exchange) {
		x.respond("200", "early")
		x.enc.SetCallbacks(nil)
		x.enc.ResetStream(http.LocalReset)
	}
	r.w.head(1, false, post...)
	r.w.WriteData(1, false, []byte("unwanted"))
	r.send()
	r.expect("HEADERS 1 :status=200", "DATA 1 end early")
	r.turn()
	r.w.WriteData(1, true, []byte("unwanted"))
	r.w.head(3, true, get...)
	r.u.onHead = nil
	r.send()
	r.expect("HEADERS 3 end :status=200")
	if n := r.stats.StreamsActive.Value(); n != 0 {
		t.Errorf("%d streams are left", n)
	}
}

// TestUpgradeAccepted answers an extended CONNECT with 101.
func TestUpgradeAccepted(t *testing.T) {
	r := newServerRig(t, func(s *Settings) { s.AllowConnect = true })
	r.u.onHead = func(x *exchange) {
		x.res.Add(http.Status, "101")
		x.res.Add(http.Upgrade, "websocket")
		x.res.Add(http.Connection, "upgrade")
		x.enc.EncodeHeaders(&x.res, false)
		x.enc.EncodeData(r.u.buffer("frame"), false)
	}
	r.w.head(1, false, ":method: CONNECT", ":protocol: websocket", ":scheme: http", ":authority: a", ":path: /ws")
	r.w.WriteData(1, false, []byte("hello"))
	r.send()
	r.expect("HEADERS 1 :status=200", "DATA 1 frame")
	if x := r.u.streams[0]; x.body != "hello" {
		t.Errorf("the tunnel carried %q", x.body)
	}
}

func TestInterimAndTrailers(t *testing.T) {
	r := newServerRig(t, nil)
	r.u.answer = func(x *exchange) {
		x.res.Add(http.Status, "103")
		x.res.AddName("link", "</a>")
		x.enc.Encode1xxHeaders(&x.res)
		x.res.Reset()
		x.res.Add(http.Status, "200")
		x.res.Add(http.Connection, "close") // never goes out
		x.enc.EncodeHeaders(&x.res, false)
		x.enc.EncodeData(r.u.buffer("abc"), false)
		x.resTrailers.Add(http.GrpcStatus, "0")
		x.enc.EncodeTrailers(&x.resTrailers)
	}
	r.w.head(1, true, get...)
	r.send()
	r.expect("HEADERS 1 :status=103 link=</a>", "HEADERS 1 :status=200", "DATA 1 abc", "HEADERS 1 end grpc-status=0")
}

// TestDrain announces the end, lets a stream under way finish and ignores what
// comes behind the last one.
func TestDrain(t *testing.T) {
	r := newServerRig(t, nil)
	r.w.head(1, false, post...)
	r.send()
	r.codec.ShutdownNotice()
	r.w.head(3, true, get...)
	r.send()
	r.codec.GoAway()
	r.w.head(5, true, get...)
	r.w.WriteData(1, true, []byte("x"))
	r.send()
	r.expect("GOAWAY 2147483647 NO_ERROR", "HEADERS 3 end :status=200", "GOAWAY 3 NO_ERROR", "HEADERS 1 end :status=200")
}

// TestUnsendable: what filters or configuration may put into a response must
// not become fields of its own.
func TestUnsendable(t *testing.T) {
	r := newServerRig(t, nil)
	r.u.answer = func(x *exchange) {
		x.res.Add(http.Status, "200")
		x.res.AddName("x", "a\r\nb: c")
		x.enc.EncodeHeaders(&x.res, true)
	}
	r.w.head(1, true, get...)
	r.send()
	r.expect("RST 1 INTERNAL_ERROR")
}
