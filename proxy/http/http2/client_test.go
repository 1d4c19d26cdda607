package http2

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// asker stands in for a pool and the router.
type asker struct {
	log      []string
	maximum  uint32
	ended    int
	goAways  int
	requests []*request
}

func (a *asker) OnGoAway(uint32)       { a.goAways++ }
func (a *asker) OnStreamEnd(bool)      { a.ended++ }
func (a *asker) OnMaxStreams(n uint32) { a.maximum = n }

// request is one of an asker's.
type request struct {
	a        *asker
	id       int
	enc      http.RequestEncoder
	req      http.HeaderMap
	res, trl http.HeaderMap
	body     string
	reset    http.ResetReason
}

func (q *request) ResponseHeaders() *http.HeaderMap  { q.res.Reset(); return &q.res }
func (q *request) ResponseTrailers() *http.HeaderMap { return &q.trl }
func (q *request) Decode1xxHeaders()                 { q.say("interim " + strings.Join(lines(&q.res), " ")) }
func (q *request) OnAboveWriteBufferHighWatermark()  {}
func (q *request) OnBelowWriteBufferLowWatermark()   {}

func (q *request) say(s string) { q.a.log = append(q.a.log, fmt.Sprint(q.id, " ", s)) }

func (q *request) DecodeHeaders(end bool) {
	q.say(strings.Join(lines(&q.res), " "))
	if end {
		q.say("end")
	}
}

func (q *request) DecodeData(b *network.Buffer, end bool) {
	q.body += string(b.Bytes())
	if end {
		q.say("end " + q.body)
	}
}

func (q *request) DecodeTrailers(t *http.HeaderMap) {
	q.say("end " + q.body + " trailers " + strings.Join(lines(t), " "))
}

func (q *request) OnResetStream(r http.ResetReason, _ string) {
	q.reset = r
	q.say("reset: " + r.String() + " " + q.enc.Details())
}

// clientRig is a client codec and its server's bytes.
type clientRig struct {
	rig
	a     *asker
	codec http.ClientConnection
}

func newClientRig(t testing.TB, change func(*Settings)) *clientRig {
	t.Helper()
	r := &clientRig{rig: rig{t: t, l: newLoop(t), set: Defaults(), w: newWire()}, a: &asker{}}
	r.u = &user{l: r.l}
	if change != nil {
		change(&r.set)
	}
	r.set.Counters = r.stats.Counters()
	var done func()
	r.conn, done = newConn(t, r.l)
	t.Cleanup(done)
	r.codec = NewClient(r.conn, r.a, &r.set)
	r.in = r.l.NewBuffer()
	r.w.WriteSettings()
	return r
}

func (r *clientRig) send() {
	if raw := slices.Clone(r.w.Buffer.Bytes()); len(raw) > 0 {
		r.w.Buffer.Reset()
		r.in.Append(raw)
		r.err = r.codec.Dispatch(r.in)
	}
}

// ask begins a request.
func (r *clientRig) ask(end bool, lines ...string) *request {
	r.t.Helper()
	q := &request{a: r.a, id: 2*len(r.a.requests) + 1}
	r.a.requests = append(r.a.requests, q)
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ": ")
		q.req.AddName(name, value)
	}
	q.enc = r.codec.NewStream(q)
	q.enc.SetCallbacks(q)
	if err := q.enc.EncodeHeaders(&q.req, end); err != nil {
		r.t.Fatal(err)
	}
	return q
}

func TestClient(t *testing.T) {
	for _, c := range []struct {
		name string
		send func(*wire)
		log  []string
		bad  bool
	}{
		{"no body", func(w *wire) { w.head(1, true, ":status: 204") }, []string{"1 :status=204", "1 end"}, false},
		{"body", func(w *wire) {
			w.head(1, false, ":status: 200", "content-length: 3")
			w.WriteData(1, true, []byte("abc"))
		},
			[]string{"1 :status=200 content-length=3", "1 end abc"}, false},
		{"trailers", func(w *wire) {
			w.head(1, false, ":status: 200")
			w.WriteData(1, false, []byte("abc"))
			w.head(1, true, "grpc-status: 0")
		},
			[]string{"1 :status=200", "1 end abc trailers grpc-status=0"}, false},
		{"trailers only", func(w *wire) { w.head(1, true, ":status: 200", "grpc-status: 5") }, []string{"1 :status=200 grpc-status=5", "1 end"}, false},
		{"interim", func(w *wire) { w.head(1, false, ":status: 103", "link: x"); w.head(1, true, ":status: 200") },
			[]string{"1 interim :status=103 link=x", "1 :status=200", "1 end"}, false},
		{"interim that ends", func(w *wire) { w.head(1, true, ":status: 103") }, []string{"1 reset: protocol error http2.violation.of.messaging.rule"}, true},
		{"101", func(w *wire) { w.head(1, false, ":status: 101") }, []string{"1 reset: protocol error http2.violation.of.messaging.rule"}, true},
		{"no status", func(w *wire) { w.head(1, true, "x: y") }, []string{"1 reset: protocol error http2.violation.of.messaging.rule"}, true},
		{"method in a response", func(w *wire) { w.head(1, true, ":status: 200", ":method: GET") }, []string{"1 reset: protocol error http2.violation.of.messaging.rule"}, true},
		{"connection", func(w *wire) { w.head(1, true, ":status: 200", "connection: close") }, []string{"1 reset: protocol error http2.invalid.header.field"}, true},
		{"short body", func(w *wire) {
			w.head(1, false, ":status: 200", "content-length: 3")
			w.WriteData(1, true, []byte("ab"))
		},
			[]string{"1 :status=200 content-length=3", "1 reset: protocol error http2.violation.of.messaging.rule"}, false},
		{"data before the head", func(w *wire) { w.WriteData(1, true, []byte("ab")) }, []string{"1 reset: protocol error http2.unknown.nghttp2.error"}, false},
		{"refused", func(w *wire) { w.WriteRSTStream(1, http2.ErrCodeRefusedStream) }, []string{"1 reset: remote refused stream reset http2.remote_refuse"}, false},
		{"reset", func(w *wire) { w.WriteRSTStream(1, http2.ErrCodeInternal) }, []string{"1 reset: remote reset http2.remote_reset"}, false},
		{"connect error", func(w *wire) { w.WriteRSTStream(1, http2.ErrCodeConnect) }, []string{"1 reset: remote error with CONNECT request http2.remote_reset"}, false},
		{"goaway before it", func(w *wire) { w.WriteGoAway(0, http2.ErrCodeNo, nil) }, []string{"1 reset: remote refused stream reset http2.remote_refuse"}, false},
		{"goaway behind it", func(w *wire) { w.WriteGoAway(1, http2.ErrCodeNo, nil); w.head(1, true, ":status: 200") }, []string{"1 :status=200", "1 end"}, false},
		{"stream that was not begun", func(w *wire) { w.head(3, true, ":status: 200") }, []string{"1 reset: protocol error "}, true},
		{"push", func(w *wire) { w.WritePushPromise(http2.PushPromiseParam{StreamID: 1, PromiseID: 2, EndHeaders: true}) }, []string{"1 reset: protocol error "}, true},
		{"enables push", func(w *wire) { w.WriteSettings(http2.Setting{ID: http2.SettingEnablePush, Val: 1}) }, []string{"1 reset: protocol error "}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newClientRig(t, nil)
			r.ask(true, get...)
			r.expect("HEADERS 1 end :method=GET :scheme=http :authority=a :path=/x")
			c.send(r.w)
			if r.send(); r.err != nil {
				r.codec.(*client).OnConnectionClosed()
			}
			if !slices.Equal(r.a.log, c.log) || (r.err != nil) != c.bad {
				t.Errorf("got %q, error %v\nwant %q", r.a.log, r.err, c.log)
			}
			if r.a.ended != 1 {
				t.Errorf("the stream's end was told %d times", r.a.ended)
			}
		})
	}
}

// TestClientMultiplexes has three requests under way whose responses mix.
func TestClientMultiplexes(t *testing.T) {
	r := newClientRig(t, nil)
	r.w.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 7})
	for range 3 {
		r.ask(true, get...)
	}
	for _, id := range []uint32{5, 1, 3} {
		r.w.head(id, false, ":status: 200")
	}
	for _, id := range []uint32{3, 5, 1} {
		r.w.WriteData(id, true, fmt.Append(nil, "body ", id))
	}
	r.send()
	want := []string{"5 :status=200", "1 :status=200", "3 :status=200", "3 end body 3", "5 end body 5", "1 end body 1"}
	if !slices.Equal(r.a.log, want) || r.a.ended != 3 || r.a.maximum != 7 {
		t.Errorf("got %q, %d ended, at most %d", r.a.log, r.a.ended, r.a.maximum)
	}
}

// TestClientUpgrade asks for an upgrade by extended CONNECT, and leaves the
// request's map as it was.
func TestClientUpgrade(t *testing.T) {
	r := newClientRig(t, nil)
	q := r.ask(false, with(get, "connection: upgrade", "upgrade: websocket", "sec-websocket-version: 13")...)
	r.expect("HEADERS 1 :method=CONNECT :protocol=websocket :scheme=http :authority=a :path=/x sec-websocket-version=13")
	if q.req.Get(http.Method) != "GET" || q.req.Get(http.Upgrade) != "websocket" || q.req.Has(http.Protocol) {
		t.Errorf("the map is now %q", lines(&q.req))
	}
	r.w.head(1, false, ":status: 200")
	r.w.WriteData(1, false, []byte("frame"))
	r.send()
	if want := []string{"1 :status=101 upgrade=websocket connection=upgrade"}; !slices.Equal(r.a.log, want) || q.body != "frame" {
		t.Errorf("got %q and %q", r.a.log, q.body)
	}
}

// TestClientConnect: CONNECT has neither path nor scheme.
func TestClientConnect(t *testing.T) {
	r := newClientRig(t, nil)
	r.ask(false, ":method: CONNECT", ":scheme: http", ":path: /", ":authority: a:1")
	r.expect("HEADERS 1 :method=CONNECT :authority=a:1")
}

// TestClientResets cancels a request and ignores what was under way.
func TestClientResets(t *testing.T) {
	r := newClientRig(t, nil)
	q := r.ask(false, post...)
	q.enc.SetCallbacks(nil)
	q.enc.ResetStream(http.LocalReset)
	r.expect("HEADERS 1 :method=POST :scheme=http :authority=a :path=/x", "RST 1 INTERNAL_ERROR")
	r.w.head(1, false, ":status: 200")
	r.w.WriteData(1, true, []byte("late"))
	r.send()
	r.expect()
	if len(r.a.log) != 0 || r.err != nil || r.a.ended != 1 {
		t.Errorf("got %q, %v, %d ended", r.a.log, r.err, r.a.ended)
	}
}

// TestWindowUpdatesOfServers: a server may send some for each request.
func TestWindowUpdatesOfServers(t *testing.T) {
	r := newClientRig(t, nil)
	for range 100 {
		q := r.ask(true, get...)
		r.w.head(uint32(q.id), true, ":status: 200")
		r.w.WriteWindowUpdate(0, 1)
		r.w.WriteWindowUpdate(0, 1)
		r.send()
	}
	if r.err != nil {
		t.Error(r.err)
	}
}

// TestUpstreamsMayReset: a server that refuses many requests keeps its
// connection.
func TestUpstreamsMayReset(t *testing.T) {
	r := newClientRig(t, nil)
	for range 600 {
		q := r.ask(true, get...)
		r.w.WriteRSTStream(uint32(q.id), http2.ErrCodeRefusedStream)
		r.send()
	}
	if r.err != nil {
		t.Error(r.err)
	}
}

// TestKeepAlive probes, and closes a connection that does not answer.
func TestKeepAlive(t *testing.T) {
	r := newClientRig(t, func(s *Settings) { s.KeepAlive = KeepAlive{Interval: 1, Timeout: 1} })
	r.send()
	k := r.codec.(*client).keepAlive
	k.onTimer()
	r.expect("PING ack=false")
	r.w.WritePing(true, [8]byte{})
	r.send()
	k.onTimer()
	r.expect("PING ack=false")
	k.onTimer()
	if r.conn.Open() || r.stats.KeepaliveTimeout.Value() != 1 {
		t.Error("the connection is still open")
	}
}
