package pool

import (
	"bufio"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/weirproxy/weir/internal/tcprig"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// rig is a running loop with one cluster's owner on it.
type rig struct {
	t    testing.TB
	loop *network.Loop
	o    Owner
}

func newRig(t testing.TB, change func(*cluster.Info, *[cluster.NumPriorities]cluster.Limits)) *rig {
	t.Helper()
	loop, err := network.NewLoop("test", 1)
	if err != nil {
		t.Fatal(err)
	}
	store := stats.NewStore(loop, loop)
	info := &cluster.Info{Store: store, Name: "u", StatName: "u", ConnectTimeout: 5 * time.Second, BufferLimit: 1 << 20, IdleTimeout: time.Hour,
		Resources: &[cluster.NumPriorities]cluster.Resources{}, StatGroup: stats.NewGroup[cluster.Stats](store, stats.Scope{Prefix: "cluster.u."})}
	limits := [cluster.NumPriorities]cluster.Limits{cluster.DefaultLimits(), cluster.DefaultLimits()}
	if change != nil {
		change(info, &limits)
	}
	for p := range info.Resources {
		info.Resources[p].Set(limits[p])
	}
	r := &rig{t: t, loop: loop}
	r.o.Init(loop, info, Direct{})
	done := make(chan struct{})
	go func() { loop.Run(); close(done) }()
	t.Cleanup(func() {
		loop.Exit()
		<-done
		loop.Close()
	})
	return r
}

// do runs f on the loop.
func (r *rig) do(f func()) {
	r.t.Helper()
	done := make(chan struct{})
	r.loop.Post(func() { f(); close(done) })
	r.wait(done, "the loop")
}

func (r *rig) wait(c <-chan struct{}, what string) {
	r.t.Helper()
	select {
	case <-c:
	case <-time.After(10 * time.Second):
		r.t.Fatalf("waited 10 s for %s", what)
	}
}

// eventually waits for something on the loop to become true.
func (r *rig) eventually(what string, ok func() bool) {
	r.t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		var is bool
		r.do(func() { is = ok() })
		if is {
			return
		}
		if time.Now().After(end) {
			r.t.Fatalf("not so after 10 s: %s", what)
		}
	}
}

func (r *rig) host(addr net.Addr) *cluster.Host {
	return cluster.NewHost(network.IPAddress(netip.MustParseAddrPort(addr.String())), "", 1, nil, 2)
}

// server accepts connections and has each served by serve, which gets one
// request after the other by calling its argument.
func server(t testing.TB, serve func(c net.Conn, next func() bool)) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tcprig.Serve(t, l, func(c net.Conn) {
		br := bufio.NewReader(c)
		serve(c, func() bool {
			for {
				line, err := br.ReadString('\n')
				if err != nil {
					return false
				}
				if line == "\r\n" {
					return true
				}
			}
		})
	})
	return l
}

const okResponse = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

// answering serves every request with the response.
func answering(response string) func(net.Conn, func() bool) {
	return func(c net.Conn, next func() bool) {
		for next() {
			if _, err := c.Write([]byte(response)); err != nil {
				return
			}
		}
	}
}

// stream is one request, sent as soon as it has a connection.
type stream struct {
	r         *rig
	res, trls http.HeaderMap
	req       http.HeaderMap
	enc       http.RequestEncoder
	conn      *network.Connection
	pending   Cancellable
	hold      bool // don't send the request
	onReady   func()

	status  string
	failure FailureReason
	why     string
	reset   http.ResetReason
	done    chan struct{}
}

func (r *rig) open(p HTTP) *stream {
	s := &stream{r: r, done: make(chan struct{})}
	r.do(func() { s.pending = p.NewStream(s, s) })
	return s
}

// get opens a stream and waits for its end.
func (r *rig) get(p HTTP) *stream {
	r.t.Helper()
	s := r.open(p)
	r.wait(s.done, "a response")
	return s
}

func (s *stream) OnPoolReady(enc http.RequestEncoder, _ *cluster.Host, conn *network.Connection, _ http.ProtocolVersion) {
	s.enc, s.conn = enc, conn
	if s.onReady != nil {
		s.onReady()
	}
	enc.SetCallbacks(s)
	if s.hold {
		return
	}
	s.req.Add(http.Method, "GET")
	s.req.Add(http.Path, "/")
	s.req.Add(http.Authority, "a.test")
	if err := enc.EncodeHeaders(&s.req, true); err != nil {
		s.r.t.Error(err)
	}
}

func (s *stream) OnPoolFailure(reason FailureReason, why string, _ *cluster.Host) {
	s.failure, s.why = reason, why
	close(s.done)
}

func (s *stream) OnResetStream(reason http.ResetReason, _ string) {
	s.reset = reason
	close(s.done)
}

func (s *stream) OnAboveWriteBufferHighWatermark()  {}
func (s *stream) OnBelowWriteBufferLowWatermark()   {}
func (s *stream) ResponseHeaders() *http.HeaderMap  { return &s.res }
func (s *stream) ResponseTrailers() *http.HeaderMap { return &s.trls }
func (s *stream) Decode1xxHeaders()                 {}
func (s *stream) DecodeTrailers(*http.HeaderMap)    { s.end() }
func (s *stream) DecodeData(_ *network.Buffer, end bool) {
	if end {
		s.end()
	}
}

func (s *stream) DecodeHeaders(end bool) {
	s.status = s.res.Get(http.Status)
	if end {
		s.end()
	}
}

func (s *stream) end() { close(s.done) }
