package pool

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

type limits = [cluster.NumPriorities]cluster.Limits

// want compares counters of the cluster, written as in Envoy.
func (r *rig) want(values string) {
	r.t.Helper()
	s := r.o.Stats
	known := map[string]func() int64{
		"cx_total": func() int64 { return int64(s.UpstreamCxTotal.Value()) }, "cx_active": s.UpstreamCxActive.Value,
		"cx_connect_fail":    func() int64 { return int64(s.UpstreamCxConnectFail.Value()) },
		"cx_connect_timeout": func() int64 { return int64(s.UpstreamCxConnectTimeout.Value()) },
		"cx_destroy_local":   func() int64 { return int64(s.UpstreamCxDestroyLocal.Value()) },
		"cx_destroy_remote":  func() int64 { return int64(s.UpstreamCxDestroyRemote.Value()) },
		"cx_destroy_active":  func() int64 { return int64(s.UpstreamCxDestroyActive.Value()) },
		"cx_overflow":        func() int64 { return int64(s.UpstreamCxOverflow.Value()) },
		"cx_idle_timeout":    func() int64 { return int64(s.UpstreamCxIdleTimeout.Value()) },
		"cx_max_requests":    func() int64 { return int64(s.UpstreamCxMaxRequests.Value()) },
		"cx_protocol_error":  func() int64 { return int64(s.UpstreamCxProtocolError.Value()) },
		"rq_total":           func() int64 { return int64(s.UpstreamRqTotal.Value()) }, "rq_active": s.UpstreamRqActive.Value,
		"rq_cancelled":             func() int64 { return int64(s.UpstreamRqCancelled.Value()) },
		"rq_pending_total":         func() int64 { return int64(s.UpstreamRqPendingTotal.Value()) },
		"rq_pending_active":        s.UpstreamRqPendingActive.Value,
		"rq_pending_overflow":      func() int64 { return int64(s.UpstreamRqPendingOverflow.Value()) },
		"rq_active_overflow":       func() int64 { return int64(s.UpstreamRqActiveOverflow.Value()) },
		"rq_pending_failure_eject": func() int64 { return int64(s.UpstreamRqPendingFailureEject.Value()) },
		"default.rq_open":          s.Default.RqOpen.Value, "default.cx_open": s.Default.CxOpen.Value,
		"default.rq_pending_open": s.Default.RqPendingOpen.Value,
	}
	var got []string
	defer func() {
		if r.t.Failed() {
			r.t.Log("got", got)
		}
	}()
	r.eventually(values, func() bool {
		got = got[:0]
		for _, v := range strings.Fields(values) {
			name, _, _ := strings.Cut(v, "=")
			got = append(got, fmt.Sprintf("%s=%d", name, known[name]()))
		}
		return strings.Join(got, " ") == values
	})
}

func TestConnectionsAreReused(t *testing.T) {
	r := newRig(t, nil)
	l := server(t, answering(okResponse))
	p := NewHTTP1(&r.o, r.host(l.Addr()), cluster.Default, 0)
	for i := range 3 {
		s := r.get(p)
		if s.status != "200" {
			t.Fatalf("request %d: status %q, failure %v", i, s.status, s.failure)
		}
		if sync := s.pending == nil; sync != (i > 0) {
			t.Errorf("request %d: answered within NewStream: %v", i, sync)
		}
	}
	r.want("cx_total=1 cx_active=1 rq_total=3 rq_active=0 rq_pending_total=1 rq_pending_active=0")
}

func TestTheConnectionUsedLastIsUsedFirst(t *testing.T) {
	r := newRig(t, nil)
	l := server(t, answering(okResponse))
	p := NewHTTP1(&r.o, r.host(l.Addr()), cluster.Default, 0)
	a, b := &stream{r: r, done: make(chan struct{})}, &stream{r: r, done: make(chan struct{})}
	r.do(func() { p.NewStream(a, a); p.NewStream(b, b) })
	r.wait(a.done, "a")
	r.wait(b.done, "b")
	r.want("cx_total=2 rq_active=0")
	var newest *client
	r.do(func() { newest = p.idle.first })
	if c := r.get(p); c.conn != newest.conn {
		t.Error("not the connection on top was used")
	}
}

func TestConnectionsThatEnd(t *testing.T) {
	tests := map[string]struct {
		response string
		change   func(*cluster.Info, *limits)
		requests int
		status   string
		reset    http.ResetReason
		want     string
	}{
		"server says close":       {"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", nil, 2, "200", 0, "cx_total=2 cx_active=0 cx_destroy_local=2 cx_protocol_error=0"},
		"body ends with close":    {"HTTP/1.1 200 OK\r\n\r\nok\x00close", nil, 2, "200", 0, "cx_total=2 cx_active=0 cx_destroy_remote=2"},
		"max requests":            {okResponse, func(i *cluster.Info, _ *limits) { i.MaxRequestsPerConnection = 2 }, 5, "200", 0, "cx_total=3 cx_max_requests=2 cx_active=1 cx_destroy_local=2"},
		"cut off within the body": {"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok\x00close", nil, 1, "200", http.ProtocolError, "cx_total=1 cx_active=0 cx_destroy_remote=1 cx_protocol_error=1 cx_destroy_active=1 rq_active=0"},
		"cut off before the head": {"\x00close", nil, 1, "", http.ConnectionTermination, "cx_total=1 cx_active=0 cx_destroy_remote=1 cx_protocol_error=0 cx_destroy_active=1 rq_active=0"},
		"malformed":               {"HTTP/9.9 what\r\n\r\n", nil, 1, "", http.ProtocolError, "cx_total=1 cx_active=0 cx_protocol_error=1 cx_destroy_local=1 cx_destroy_active=1 rq_active=0"},
		"idle timeout":            {okResponse, func(i *cluster.Info, _ *limits) { i.IdleTimeout = 20 * time.Millisecond }, 1, "200", 0, "cx_total=1 cx_active=0 cx_idle_timeout=1 cx_destroy_local=1"},
		"bytes behind response":   {okResponse + "more", nil, 1, "200", 0, "cx_total=1 cx_active=0 rq_active=0"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, tt.change)
			response, closes := strings.CutSuffix(tt.response, "\x00close")
			l := server(t, func(c net.Conn, next func() bool) {
				for next() {
					c.Write([]byte(response))
					if closes {
						return
					}
				}
			})
			p := NewHTTP1(&r.o, r.host(l.Addr()), cluster.Default, 0)
			for range tt.requests {
				if s := r.get(p); s.status != tt.status || s.reset != tt.reset {
					t.Fatalf("status %q, reset %q, failure %v; want %q, %q", s.status, s.reset, s.failure, tt.status, tt.reset)
				}
			}
			r.want(tt.want)
			for _, k := range []cluster.Kind{cluster.Connections, cluster.Pending, cluster.Requests} {
				n := r.o.Breakers[0].Resource(k).Count()
				active := 0
				r.do(func() { active = len(p.all) })
				if k != cluster.Connections && n != 0 || k == cluster.Connections && n != active {
					t.Errorf("circuit breaker %d counts %d", k, n)
				}
			}
		})
	}
}

func TestConnectFailures(t *testing.T) {
	refused, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused.Close()
	tests := map[string]struct {
		addr net.Addr
		want FailureReason
		why  string
		sum  string
	}{
		"refused": {refused.Addr(), RemoteConnectionFailure, "delayed connect error: Connection refused", "cx_total=2 cx_connect_fail=2 cx_connect_timeout=0 cx_active=0 rq_total=0 rq_pending_total=2 rq_pending_active=0 rq_pending_failure_eject=2"},
		"timeout": {deaf(t), Timeout, "", "cx_total=2 cx_connect_fail=2 cx_connect_timeout=2 cx_active=0 rq_total=0 rq_pending_total=2 rq_pending_active=0 rq_pending_failure_eject=2"},
	}
	for name, tt := range tests {
		t.Run("HTTP "+name, func(t *testing.T) {
			r := newRig(t, func(i *cluster.Info, _ *limits) { i.ConnectTimeout = 50 * time.Millisecond })
			p := NewHTTP1(&r.o, r.host(tt.addr), cluster.Default, 0)
			for range 2 {
				s := r.get(p)
				if s.failure != tt.want || s.why != tt.why {
					t.Errorf("failure %v %q, want %v %q", s.failure, s.why, tt.want, tt.why)
				}
			}
			r.want(tt.sum)
		})
		t.Run("TCP "+name, func(t *testing.T) {
			r := newRig(t, func(i *cluster.Info, _ *limits) { i.ConnectTimeout = 50 * time.Millisecond })
			for range 2 {
				u := r.connect(r.host(tt.addr))
				r.wait(u.done, "the failure")
				if u.failure != tt.want || u.why != tt.why {
					t.Errorf("failure %v %q, want %v %q", u.failure, u.why, tt.want, tt.why)
				}
			}
			r.want(tt.sum)
		})
	}
}

// deaf is the address of a socket whose queue is full: connecting hangs.
func deaf(t *testing.T) net.Addr {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: sa.(*unix.SockaddrInet4).Port}
	for {
		c, err := net.DialTimeout("tcp", addr.String(), 100*time.Millisecond)
		if err != nil {
			return addr
		}
		t.Cleanup(func() { c.Close() })
	}
}

func TestCircuitBreakers(t *testing.T) {
	hold := func(t *testing.T) net.Addr { // accepts and never answers
		return server(t, func(_ net.Conn, next func() bool) {
			for next() {
			}
		}).Addr()
	}
	t.Run("pending", func(t *testing.T) {
		r := newRig(t, func(_ *cluster.Info, l *limits) { l[0].Max[cluster.Pending] = 1 })
		p := NewHTTP1(&r.o, r.host(deaf(t)), cluster.Default, 0)
		a := r.open(p)
		r.want("default.rq_pending_open=1")
		if s := r.get(p); s.failure != Overflow {
			t.Errorf("failure %v, want overflow", s.failure)
		}
		r.do(a.pending.Cancel)
		r.want("rq_pending_overflow=1 rq_pending_active=0 rq_cancelled=1 default.rq_pending_open=0")
	})
	t.Run("requests", func(t *testing.T) {
		r := newRig(t, func(_ *cluster.Info, l *limits) { l[0].Max[cluster.Requests] = 1 })
		p := NewHTTP1(&r.o, r.host(hold(t)), cluster.Default, 0)
		a := r.open(p)
		r.want("rq_active=1 default.rq_open=1")
		if s := r.get(p); s.failure != Overflow {
			t.Errorf("failure %v, want overflow", s.failure)
		}
		r.do(func() { a.enc.ResetStream(http.LocalReset) })
		r.want("rq_active_overflow=1 rq_pending_overflow=0 rq_active=0 default.rq_open=0")
	})
	t.Run("connections", func(t *testing.T) {
		r := newRig(t, func(_ *cluster.Info, l *limits) { l[0].Max[cluster.Connections] = 1 })
		l := server(t, answering(okResponse))
		p := NewHTTP1(&r.o, r.host(hold(t)), cluster.Default, 0)
		a := r.open(p)
		r.want("rq_active=1 default.cx_open=1")
		// A second request of the host waits; another host's first gets its
		// connection nevertheless.
		b := r.open(p)
		other := r.get(NewHTTP1(&r.o, r.host(l.Addr()), cluster.Default, 0))
		if other.status != "200" {
			t.Errorf("the other host: status %q, failure %v", other.status, other.failure)
		}
		r.want("cx_total=2 cx_overflow=2 rq_pending_active=1")
		if u := r.connect(r.host(l.Addr())); u.failure != Overflow {
			t.Errorf("TCP: failure %v, want overflow", u.failure)
		}
		// When the first connection ends, the one who waits gets a new one.
		r.do(func() { a.enc.ResetStream(http.LocalReset) })
		r.eventually("the one who waits is served", func() bool { return b.enc != nil })
	})
}

func TestDrain(t *testing.T) {
	r := newRig(t, nil)
	proceed := make(chan struct{})
	l := server(t, func(c net.Conn, next func() bool) {
		for next() {
			<-proceed
			c.Write([]byte(okResponse))
		}
	})
	p := NewHTTP1(&r.o, r.host(l.Addr()), cluster.Default, 0)
	s := r.open(p)
	r.want("rq_active=1")
	drained := make(chan struct{})
	r.do(func() { p.Drain(func() { close(drained) }) })
	select {
	case <-drained:
		t.Fatal("drained under a request")
	default:
	}
	close(proceed)
	r.wait(s.done, "the response")
	if s.status != "200" {
		t.Errorf("status %q", s.status)
	}
	r.wait(drained, "the drain")
	r.want("cx_active=0 rq_active=0")
}

func TestManyAtOnce(t *testing.T) {
	r := newRig(t, nil)
	l := server(t, answering(okResponse))
	p := NewHTTP1(&r.o, r.host(l.Addr()), cluster.Default, 0)
	var all []*stream
	r.do(func() {
		for range 200 {
			s := &stream{r: r, done: make(chan struct{})}
			s.pending = p.NewStream(s, s)
			all = append(all, s)
		}
	})
	for _, s := range all {
		r.wait(s.done, "a response")
		if s.status != "200" {
			t.Fatalf("status %q, failure %v %q", s.status, s.failure, s.why)
		}
	}
	r.want("rq_total=200 rq_active=0 rq_pending_active=0")
}

// user is one tcp_proxy connection.
type user struct {
	conn    *network.Connection
	failure FailureReason
	why     string
	done    chan struct{}
}

func (u *user) OnPoolReady(c *network.Connection, _ *cluster.Host) { u.conn = c; close(u.done) }
func (u *user) OnPoolFailure(reason FailureReason, why string, _ *cluster.Host) {
	u.failure, u.why = reason, why
	close(u.done)
}

func (r *rig) connect(h *cluster.Host) *user {
	u := &user{done: make(chan struct{})}
	r.do(func() { ConnectTCP(&r.o, h, cluster.Default, 0, nil, u) })
	return u
}

func TestTCP(t *testing.T) {
	r := newRig(t, nil)
	l := server(t, func(c net.Conn, next func() bool) { next() })
	u := r.connect(r.host(l.Addr()))
	r.wait(u.done, "the connection")
	r.want("cx_total=1 cx_active=1 rq_total=1 rq_active=1 rq_pending_total=1 rq_pending_active=0")
	r.do(func() { u.conn.Close(network.NoFlush) })
	r.want("cx_active=0 rq_active=0 cx_destroy_local=1")
}
