package pool

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/weirproxy/weir/internal/tcprig"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// h2server is an HTTP/2 server that holds requests until they are answered.
type h2server struct {
	net.Listener
	limit uint32
	mu    sync.Mutex
	held  []h2request
	conns []*http2.Framer
	raw   []net.Conn
	more  chan struct{} // one for each request that came
}

type h2request struct {
	fr *http2.Framer
	id uint32
}

func newH2Server(t *testing.T, limit uint32) *h2server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &h2server{Listener: l, limit: limit, more: make(chan struct{}, 1000)}
	tcprig.Serve(t, l, s.serve)
	return s
}

func (s *h2server) serve(c net.Conn) {
	defer c.Close()
	io.ReadFull(c, make([]byte, len(http2.ClientPreface)))
	fr := http2.NewFramer(c, c)
	fr.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: s.limit})
	s.mu.Lock()
	s.conns, s.raw = append(s.conns, fr), append(s.raw, c)
	s.mu.Unlock()
	fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			return
		}
		if _, ok := f.(*http2.MetaHeadersFrame); ok {
			s.mu.Lock()
			s.held = append(s.held, h2request{fr, f.Header().StreamID})
			s.mu.Unlock()
			s.more <- struct{}{}
		}
	}
}

// await waits for n further requests.
func (s *h2server) await(r *rig, n int) {
	r.t.Helper()
	for range n {
		r.wait(s.more, "a request")
	}
}

// first is the first connection.
func (s *h2server) first() (*http2.Framer, net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns[0], s.raw[0]
}

// answer answers the n oldest requests.
func (s *h2server) answer(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range s.held[:n] {
		q.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: q.id, EndStream: true, EndHeaders: true, BlockFragment: []byte{0x88}})
	}
	s.held = s.held[n:]
}

func (s *h2server) pool(r *rig) *HTTP2 {
	return NewHTTP2(&r.o, r.host(s.Addr()), cluster.Default, 0, cluster.HTTP2)
}

// openAll opens n streams in one turn.
func (r *rig) openAll(p HTTP, n int) (streams []*stream) {
	r.do(func() {
		for range n {
			s := &stream{r: r, done: make(chan struct{})}
			s.pending = p.NewStream(s, s)
			streams = append(streams, s)
		}
	})
	return streams
}

// ok waits for a response to each.
func (r *rig) ok(streams ...*stream) {
	r.t.Helper()
	for i, s := range streams {
		r.wait(s.done, "a response")
		if s.status != "200" {
			r.t.Errorf("stream %d: status %q, reset %v, failure %v %s", i, s.status, s.reset, s.failure, s.why)
		}
	}
}

func TestStreamsShareAConnection(t *testing.T) {
	r := newRig(t, nil)
	srv := newH2Server(t, 100)
	p := srv.pool(r)
	streams := r.openAll(p, 3)
	srv.await(r, 3)
	r.want("cx_total=1 rq_total=3 rq_active=3 rq_pending_total=3 rq_pending_active=0")
	srv.answer(3)
	r.ok(streams...)
	d := r.open(p)
	if d.pending != nil {
		t.Error("a stream on a connection that stands had to wait")
	}
	srv.await(r, 1)
	srv.answer(1)
	r.ok(d)
	r.want("cx_total=1 cx_active=1 rq_total=4 rq_active=0 rq_pending_total=3")
}

// TestStreamsOverTheLimit: another connection is made for what the peer's
// limit leaves.
func TestStreamsOverTheLimit(t *testing.T) {
	r := newRig(t, nil)
	srv := newH2Server(t, 2)
	p := srv.pool(r)
	var streams []*stream
	for n := range 5 {
		streams = append(streams, r.open(p))
		srv.await(r, 1)
		r.eventually("the limit is known", func() bool { return p.clients[n/2].limit == 2 })
	}
	r.want("cx_total=3 rq_active=5 rq_pending_active=0")
	srv.answer(5)
	r.ok(streams...)
}

// TestLimitRefused: where no connection may be made, requests wait for others
// to end.
func TestLimitRefused(t *testing.T) {
	r := newRig(t, func(i *cluster.Info, l *limits) { l[cluster.Default].Max[cluster.Connections] = 1 })
	srv := newH2Server(t, 1)
	p := srv.pool(r)
	a := r.open(p)
	srv.await(r, 1)
	r.eventually("the limit is known", func() bool { return p.clients[0].limit == 1 })
	b := r.open(p)
	r.want("cx_total=1 rq_active=1 rq_pending_active=1")
	srv.answer(1)
	srv.await(r, 1)
	srv.answer(1)
	r.ok(a, b)
}

func TestGoAway(t *testing.T) {
	r := newRig(t, nil)
	srv := newH2Server(t, 100)
	p := srv.pool(r)
	a, b := r.open(p), r.open(p)
	srv.await(r, 2)
	fr, _ := srv.first()
	fr.WriteGoAway(1, http2.ErrCodeNo, nil)
	r.wait(b.done, "a reset")
	if b.reset != http.RemoteRefusedStreamReset {
		t.Errorf("the stream behind the last was reset by %v", b.reset)
	}
	c := r.open(p)
	srv.await(r, 1)
	r.want("cx_total=2 cx_active=2")
	srv.answer(3) // b's is ignored
	r.ok(a, c)
	r.want("cx_active=1 cx_destroy_local=1")
}

func TestConnectionBreaks(t *testing.T) {
	r := newRig(t, nil)
	srv := newH2Server(t, 100)
	p := srv.pool(r)
	a, b := r.open(p), r.open(p)
	srv.await(r, 2)
	_, c := srv.first()
	c.Close()
	for _, s := range []*stream{a, b} {
		r.wait(s.done, "a reset")
		if s.reset != http.ConnectionTermination {
			t.Errorf("reset by %v", s.reset)
		}
	}
	r.want("cx_total=1 cx_active=0 cx_destroy_remote=1 cx_destroy_active=1 rq_active=0 cx_protocol_error=0")
}

func TestPeerBreaksTheProtocol(t *testing.T) {
	r := newRig(t, nil)
	srv := newH2Server(t, 100)
	p := srv.pool(r)
	a := r.open(p)
	srv.await(r, 1)
	fr, _ := srv.first()
	fr.WriteData(77, true, nil)
	r.wait(a.done, "a reset")
	if a.reset != http.ProtocolError {
		t.Errorf("reset by %v", a.reset)
	}
	r.want("cx_active=0 cx_protocol_error=1 rq_active=0")
}

func TestHTTP2ConnectionsThatEnd(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*cluster.Info, *limits)
		want   string
	}{
		"max requests": {func(i *cluster.Info, _ *limits) { i.MaxRequestsPerConnection = 2 }, "cx_total=2 cx_active=1 cx_max_requests=1 cx_destroy_local=1"},
		"idle timeout": {func(i *cluster.Info, _ *limits) { i.IdleTimeout = 50 * time.Millisecond }, "cx_active=0 cx_idle_timeout=1"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, tt.change)
			srv := newH2Server(t, 100)
			p := srv.pool(r)
			for range 3 {
				s := r.open(p)
				srv.await(r, 1)
				srv.answer(1)
				r.ok(s)
			}
			r.want(tt.want)
		})
	}
}

func TestHTTP2Failures(t *testing.T) {
	r := newRig(t, nil)
	srv := newH2Server(t, 100)
	srv.Close()
	p := srv.pool(r)
	for _, s := range r.openAll(p, 2) {
		r.wait(s.done, "a failure")
		if s.failure != RemoteConnectionFailure {
			t.Errorf("failure %v", s.failure)
		}
	}
	r.want("cx_total=1 cx_connect_fail=1 rq_pending_failure_eject=2 rq_pending_active=0")
}

func TestHTTP2Breakers(t *testing.T) {
	r := newRig(t, func(i *cluster.Info, l *limits) { l[cluster.Default].Max[cluster.Requests] = 1 })
	srv := newH2Server(t, 100)
	p := srv.pool(r)
	a := r.open(p)
	srv.await(r, 1)
	b := r.open(p)
	r.wait(b.done, "a failure")
	if b.failure != Overflow {
		t.Errorf("failure %v", b.failure)
	}
	srv.answer(1)
	r.ok(a)
	r.want("rq_active_overflow=1 default.rq_open=0")
}

func TestHTTP2CancelAndDrain(t *testing.T) {
	r := newRig(t, nil)
	srv := newH2Server(t, 100)
	p := srv.pool(r)
	r.do(func() {
		s := &stream{r: r, done: make(chan struct{})}
		p.NewStream(s, s).Cancel()
	})
	a := r.open(p)
	srv.await(r, 1)
	drained := make(chan struct{})
	r.do(func() { p.Drain(func() { close(drained) }) })
	r.want("cx_active=1 rq_cancelled=1 rq_active=1")
	srv.answer(1)
	r.ok(a)
	r.wait(drained, "the pool to drain")
	r.want("cx_active=0")
}
