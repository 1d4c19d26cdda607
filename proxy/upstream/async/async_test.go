package async

import (
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"sigs.k8s.io/yaml"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream"
)

// rig is a worker with clusters.
type rig struct {
	t    *testing.T
	loop *network.Loop
	c    Client
}

func newRig(t *testing.T, clusters map[string]string) *rig {
	t.Helper()
	var loops []*network.Loop
	var owners []stats.Owner
	for i := range 2 {
		l, err := network.NewLoop("loop", i)
		if err != nil {
			t.Fatal(err)
		}
		loops, owners = append(loops, l), append(owners, l)
	}
	m := upstream.NewManager(upstream.Options{Main: loops[0], Workers: loops[1:], Stats: stats.NewStore(owners...)})
	for name, addr := range clusters {
		host, port, _ := net.SplitHostPort(addr)
		j, err := yaml.YAMLToJSON(fmt.Appendf(nil, "{name: %s, connect_timeout: 2s, load_assignment: {cluster_name: x, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: %s, port_value: %s}}}}]}]}}", name, host, port))
		if err != nil {
			t.Fatal(err)
		}
		if addr == "" {
			j = []byte(`{"name":"` + name + `"}`)
		}
		c := &clusterv3.Cluster{}
		if err := protojson.Unmarshal(j, c); err != nil {
			t.Fatal(err)
		}
		if _, err := m.AddOrUpdate("c", c, "", true); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range loops {
		done := make(chan struct{})
		go func() { l.Run(); close(done) }()
		t.Cleanup(func() { l.Exit(); <-done; l.Close() })
	}
	r := &rig{t, loops[1], NewClient(m.Table(0))}
	return r
}

func (r *rig) on(f func()) {
	r.t.Helper()
	done := make(chan struct{})
	r.loop.Post(func() { f(); close(done) })
	<-done
}

type result struct {
	status int
	body   string
	local  bool
	header string
}

func (r *rig) send(cluster string, o Options, path, body string) result {
	r.t.Helper()
	got := make(chan result, 1)
	r.on(func() {
		returned := false
		q := r.c.Send(cluster, o, func(h *http.HeaderMap) {
			h.Add(http.Method, "POST")
			h.Add(http.Path, path)
			h.Add(http.Authority, "x")
		}, []byte(body), func(resp *Response) {
			if !returned {
				r.t.Error("called back before Send returned")
			}
			v, _ := resp.Headers.GetName("x-got")
			got <- result{resp.Status, string(resp.Body), resp.Local, strings.Clone(v)}
		})
		returned = true
		if q == nil {
			got <- result{}
		}
	})
	select {
	case x := <-got:
		return x
	case <-time.After(10 * time.Second):
		r.t.Fatal("no answer")
		return result{}
	}
}

func TestRequest(t *testing.T) {
	release := make(chan struct{})
	srv := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		switch r.URL.Path {
		case "/slow":
			<-release
		case "/big":
			io.WriteString(w, strings.Repeat("x", 1000))
		case "/cut":
			c, _, _ := w.(nethttp.Hijacker).Hijack()
			c.Close()
		default:
			b, _ := io.ReadAll(r.Body)
			w.Header().Set("x-got", string(b)+r.Header.Get("x-envoy-internal"))
			w.WriteHeader(201)
			io.WriteString(w, "hello")
		}
	}))
	defer srv.Close()
	defer close(release)
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	r := newRig(t, map[string]string{"c": srv.Listener.Addr().String(), "dead": dead.Addr().String(), "empty": ""})
	for _, c := range []struct {
		name, cluster, path, body string
		o                         Options
		want                      result
	}{
		{"answered", "c", "/", "ab", Options{}, result{201, "hello", false, "abtrue"}},
		{"without a body", "c", "/", "", Options{External: true}, result{201, "hello", false, ""}},
		{"too slow", "c", "/slow", "", Options{Timeout: 20 * time.Millisecond}, result{504, "upstream request timeout", true, ""}},
		{"too long", "c", "/big", "", Options{MaxBody: 999}, result{507, "response body too large", true, ""}},
		{"cut off", "c", "/cut", "", Options{}, result{503, "upstream connect error or disconnect/reset before headers. reset reason: connection termination", true, ""}},
		{"refused", "dead", "/", "ab", Options{}, result{503, "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure", true, ""}},
		{"no host", "empty", "/", "ab", Options{}, result{503, "no healthy upstream", true, ""}},
		{"no cluster", "none", "/", "", Options{}, result{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := r.send(c.cluster, c.o, c.path, c.body); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

// TestCancel: a cancelled request's callback never comes, even when its
// failure was already on its way.
func TestCancel(t *testing.T) {
	r := newRig(t, map[string]string{"empty": ""})
	r.on(func() {
		q := r.c.Send("empty", Options{}, func(*http.HeaderMap) {}, nil, func(*Response) { t.Error("called back") })
		q.Cancel()
	})
	r.on(func() {}) // what was posted has run
	r.on(func() {})
}

// TestRetry: failures and bad responses are tried again, as often as the
// policy says.
func TestRetry(t *testing.T) {
	var asked, bad atomic.Int32
	srv := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		asked.Add(1)
		if bad.Add(-1) < 0 {
			io.WriteString(w, "fine")
			return
		}
		if r.URL.Path == "/cut" {
			c, _, _ := w.(nethttp.Hijacker).Hijack()
			c.Close()
			return
		}
		w.WriteHeader(503)
	}))
	defer srv.Close()
	r := newRig(t, map[string]string{"c": srv.Listener.Addr().String()})
	policy, err := CompileRetry("p", &corev3.RetryPolicy{NumRetries: wrapperspb.UInt32(2), RetryBackOff: &corev3.BackoffStrategy{BaseInterval: durationpb.New(time.Millisecond)}}, DefaultRetryOn)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path       string
		bad, asked int32
		status     int
		local      bool
	}{{"/", 0, 1, 200, false}, {"/", 2, 3, 200, false}, {"/cut", 2, 3, 200, false}, {"/", 9, 3, 503, false}, {"/cut", 9, 3, 503, true}} {
		asked.Store(0)
		bad.Store(c.bad)
		got := r.send("c", Options{Retry: policy}, c.path, "x")
		if got.status != c.status || got.local != c.local || asked.Load() != c.asked {
			t.Errorf("%s, %d times bad: %+v after %d tries, want %d after %d", c.path, c.bad, got, asked.Load(), c.status, c.asked)
		}
	}
	if _, err := CompileRetry("p", &corev3.RetryPolicy{RetryOn: "nonsense"}, ""); err == nil {
		t.Error("nonsense is accepted")
	}
}
