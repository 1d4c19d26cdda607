package health

import (
	"encoding/json"
	"io"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"sigs.k8s.io/yaml"

	"github.com/weirproxy/weir/internal/tcprig"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/proxy/upstream/pool"
)

const often = `timeout: 5s, interval: 0.005s, no_traffic_interval: 0.005s, healthy_threshold: 2, unhealthy_threshold: 2, `

func compileTest(t *testing.T, yml ...string) ([]*Config, error) {
	t.Helper()
	var ms []*corev3.HealthCheck
	for _, y := range yml {
		j, err := yaml.YAMLToJSON([]byte("{" + y + "}"))
		if err != nil {
			t.Fatal(err)
		}
		m := &corev3.HealthCheck{}
		if err := protojson.Unmarshal(j, m); err != nil {
			t.Fatal(err)
		}
		ms = append(ms, m)
	}
	return FromConfig("health_checks", ms, matcher.NewRegexes())
}

// rig is a checker of one host on a running loop.
type rig struct {
	t       *testing.T
	loop    *network.Loop
	c       *Checkers
	host    *cluster.Host
	changed chan struct{}
	checked chan struct{}
}

func newRig(t *testing.T, addr string, yml ...string) *rig {
	t.Helper()
	cfg, err := compileTest(t, yml...)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, changed: make(chan struct{}, 1000), checked: make(chan struct{})}
	if r.loop, err = network.NewLoop("main", 0); err != nil {
		t.Fatal(err)
	}
	r.host = cluster.NewHost(network.IPAddress(netip.MustParseAddrPort(addr)), "", 1, nil, 1)
	info := &cluster.Info{Name: "c", StatName: "c", Store: stats.NewStore(r.loop), BufferLimit: 1 << 20}
	r.c, err = New(Options{
		Main: r.loop, Info: info, Dialer: pool.Direct{}, Used: info.Used.Load,
		Changed: func() { r.changed <- struct{}{} }, Passed: func(*cluster.Host) {}, Failed: func(*cluster.Host) {}, Checked: func() { close(r.checked) },
	}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { r.loop.Run(); close(done) }()
	t.Cleanup(func() { r.on(r.c.Close); r.loop.Exit(); <-done; r.loop.Close() })
	r.on(func() { r.c.Mark(r.host); r.c.Update([]*cluster.Host{r.host}, nil) })
	return r
}

func (r *rig) on(f func()) {
	done := make(chan struct{})
	r.loop.Post(func() { f(); close(done) })
	<-done
}

// until waits for the host to have exactly these flags.
func (r *rig) until(want cluster.HealthFlag) {
	r.t.Helper()
	for end := time.After(10 * time.Second); r.host.Health() != want; {
		select {
		case <-r.changed:
		case <-time.After(10 * time.Millisecond): // flags that change nothing for who chooses hosts
		case <-end:
			r.t.Fatalf("the host is %v, not %v", r.host.Health(), want)
		}
	}
}

func TestHTTP(t *testing.T) {
	var status atomic.Int32
	var degraded atomic.Bool
	status.Store(200)
	s := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		if r.URL.Path != "/health" || r.Host != "h.test" || r.Header.Get("X-A") != "b" || r.Header.Get("User-Agent") != "Envoy/HC" {
			w.WriteHeader(400)
			return
		}
		if degraded.Load() {
			w.Header().Set("x-envoy-degraded", "1")
		}
		w.Header().Set("x-envoy-upstream-healthchecked-cluster", "svc-1")
		w.WriteHeader(int(status.Load()))
		io.WriteString(w, "all is well")
	}))
	t.Cleanup(s.Close)
	r := newRig(t, s.Listener.Addr().String(), often+`http_health_check: {path: /health, host: h.test, request_headers_to_add: [{header: {key: X-A, value: b}}],
		service_name_matcher: {prefix: svc}, receive: [{text: "77656c6c"}], retriable_statuses: [{start: 429, end: 430}]}`)
	<-r.checked
	r.until(0)
	status.Store(503) // believed at once
	r.until(cluster.FailedActiveHC)
	status.Store(200)
	degraded.Store(true)
	r.until(cluster.DegradedActiveHC)
	status.Store(429)
	r.until(cluster.DegradedActiveHC | cluster.FailedActiveHC)
	r.on(func() {
		if s := r.c.all[0].stats; s.Healthy.Value() != 0 || s.Degraded.Value() != 1 || s.VerifyCluster.Value() == 0 || s.NetworkFailure.Value() != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestImmediateFailure(t *testing.T) {
	s := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {}))
	t.Cleanup(s.Close)
	r := newRig(t, s.Listener.Addr().String(), strings.Replace(often, "interval: 0.005s", "interval: 60s", 2)+`http_health_check: {path: /}`)
	r.until(0)
	r.host.FailNow()
	r.until(cluster.FailedActiveHC | cluster.ExcludedViaImmediateHCFail)
}

func TestSeveral(t *testing.T) {
	var bad atomic.Value // the paths that answer 503
	bad.Store("/b")
	s := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		if strings.Contains(bad.Load().(string), r.URL.Path) {
			w.WriteHeader(503)
		}
	}))
	t.Cleanup(s.Close)
	r := newRig(t, s.Listener.Addr().String(), often+"name: a, http_health_check: {path: /a}", often+"name: b, http_health_check: {path: /b}")
	<-r.checked
	r.until(cluster.FailedActiveHC)
	bad.Store("")
	r.until(0)
	bad.Store("/a")
	r.until(cluster.FailedActiveHC)
	r.on(func() {
		r.c.Update(nil, nil)
		if a, b, all := r.c.all[0].stats.Healthy.Value(), r.c.all[1].stats.Healthy.Value(), r.c.group.For(0).Healthy.Value(); a != 0 || b != 1 || all != 0 {
			t.Errorf("healthy are %d by check a, %d by b, %d by both", a, b, all)
		}
		bad.Store("/a/b")
		r.host.FailNow() // check b is told
	})
	r.until(cluster.FailedActiveHC | cluster.ExcludedViaImmediateHCFail)
	bad.Store("")
	r.until(0)
}

func TestTCP(t *testing.T) {
	r := newRig(t, tcprig.Start(t, func(net.Conn) {}).String(), often+`tcp_health_check: {}`)
	r.until(0)
	echo := tcprig.Start(t, func(c net.Conn) { io.Copy(c, c) }).String()
	r = newRig(t, echo, often+`tcp_health_check: {send: {text: "50494e470d0a"}, receive: [{text: "50"}, {text: "47"}]}`)
	r.until(0)
	r = newRig(t, echo, often+`tcp_health_check: {send: {text: "50"}, receive: [{text: "51"}]}, event_log_path: `+filepath.Join(t.TempDir(), "x"))
	r.on(func() {
		if r.host.Health()&cluster.FailedActiveHC == 0 {
			t.Error("passed without what is expected")
		}
	})
}

func TestFailuresOfTheConnection(t *testing.T) {
	log := filepath.Join(t.TempDir(), "events")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close() // refuses
	r := newRig(t, l.Addr().String(), often+`tcp_health_check: {}, event_log_path: `+log)
	<-r.checked
	r.until(cluster.FailedActiveHC)
	r = newRig(t, tcprig.Start(t, func(c net.Conn) { io.Copy(io.Discard, c) }).String(), strings.Replace(often, "timeout: 5s", "timeout: 0.01s", 1)+`http_health_check: {path: /}`)
	r.until(cluster.FailedActiveHC | cluster.ActiveHCTimeout)
	var e map[string]any
	b, err := os.ReadFile(log)
	if err != nil || json.Unmarshal(b[:strings.IndexByte(string(b), '\n')], &e) != nil || e["health_checker_type"] != "TCP" || e["cluster_name"] != "c" {
		t.Errorf("%v: %s", err, b)
	}
}

func TestGRPC(t *testing.T) {
	var serving atomic.Int32
	serving.Store(1)
	p := &nethttp.Protocols{}
	p.SetUnencryptedHTTP2(true)
	s := httptest.NewUnstartedServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("content-type", "application/grpc")
		w.Header().Set("trailer", "grpc-status")
		if r.URL.Path == "/grpc.health.v1.Health/Check" && string(b) == "\x00\x00\x00\x00\x05\x0a\x03svc" && r.Host == "c" {
			w.Write([]byte{0, 0, 0, 0, 2, 8, byte(serving.Load())})
		}
		w.Header().Set("grpc-status", "0")
	}))
	s.Config.Protocols = p
	s.Start()
	t.Cleanup(s.Close)
	r := newRig(t, s.Listener.Addr().String(), often+`grpc_health_check: {service_name: svc}`)
	r.until(0)
	serving.Store(2)
	r.until(cluster.FailedActiveHC)
	serving.Store(1)
	r.until(0)
}

func TestIntervals(t *testing.T) {
	cfg, err := compileTest(t, `timeout: 1s, interval: 10s, healthy_threshold: 1, unhealthy_threshold: 1, tcp_health_check: {}, no_traffic_interval: 50s,
		unhealthy_interval: 20s, unhealthy_edge_interval: 3s, healthy_edge_interval: 4s`)
	if err != nil {
		t.Fatal(err)
	}
	used := true
	c := &Checker{cfg: cfg[0], o: Options{Used: func() bool { return used }}}
	for _, tt := range []struct {
		used, healthy, pending bool
		want                   time.Duration
	}{
		{true, true, false, 10}, {true, true, true, 4}, {true, false, false, 20}, {true, false, true, 3},
		{false, true, false, 50}, {false, false, false, 50},
	} {
		used = tt.used
		if got := c.next(tt.healthy, tt.pending); got != tt.want*time.Second {
			t.Errorf("%+v: %v", tt, got)
		}
	}
	cfg[0].IntervalJitter, cfg[0].JitterPercent = time.Second, 50
	for range 100 {
		used = true
		if got := c.next(true, false); got < 10*time.Second || got > 16*time.Second {
			t.Errorf("with jitter %v", got)
		}
	}
}

func TestRefused(t *testing.T) {
	for yml, want := range map[string]string{
		`interval: 1s, tcp_health_check: {}`:                                                `health_checks[0].timeout: missing`,
		`timeout: 1s, interval: 1s, tcp_health_check: {}`:                                   `health_checks[0].unhealthy_threshold: missing`,
		often + `http_health_check: {path: ""}`:                                             `http_health_check.path: missing`,
		often + `http_health_check: {path: /, expected_statuses: [{start: 200, end: 200}]}`: `expected_statuses[0]: [200, 200) is no range`,
		often + `http_health_check: {path: /, receive: [{text: xx}]}`:                       `receive[0].text: "xx" is not hexadecimal`,
		often + `custom_health_check: {name: redis}`:                                        `weir does not support custom_health_check`,
		often + `tcp_health_check: {}, transport_socket_match_criteria: {a: b}`:             `weir does not support transport_socket_match_criteria`,
	} {
		if _, err := compileTest(t, yml); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
	for want, names := range map[string][2]string{
		`health_checks[1].name: missing: several health checks need names`: {"a", ""},
		`health_checks[1].name: two health checks are called "a"`:          {"a", "a"},
	} {
		if _, err := compileTest(t, often+"tcp_health_check: {}, name: "+names[0], often+"tcp_health_check: {}, name: "+names[1]); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
}
