package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirproxy/weir/internal/tcprig"
)

// TestStorm has clients of all kinds do all that they may while the whole
// configuration changes many times a second. Whatever their answers are, there
// is no race, nobody hangs, and when it is over nothing is left: every gauge of
// what is under way is zero and requests succeed.
func TestStorm(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("WEIR_STORM_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	last := 5 * time.Second
	if s := os.Getenv("WEIR_STORM"); s != "" {
		last, _ = time.ParseDuration(s)
	}
	t.Logf("WEIR_STORM_SEED=%d", seed)
	s := newStorm(t, seed)
	s.write(s.random())
	p := start(t, s.bootstrap())
	s.write(s.calm())
	p.wantStat("listener_manager.total_listeners_active", "3")

	ctx, cancel := context.WithTimeout(t.Context(), last)
	defer cancel()
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() { s.client(ctx, rand.New(rand.NewPCG(seed, uint64(i)))) })
	}
	wg.Go(func() {
		for ctx.Err() == nil {
			s.write(s.random())
			p.page(pick(s.r, "/stats", "/clusters?format=json", "/config_dump?include_eds", "/listeners", "/stats/prometheus", "/ready", "/certs", "/init_dump"))
			time.Sleep(time.Duration(s.r.IntN(80)) * time.Millisecond)
		}
	})
	wg.Wait()
	s.write(s.calm())
	p.until("nothing is under way", func() bool { return s.left(p.page("/stats?type=Gauges")) == "" && s.calmly() })
	t.Logf("%d configurations; requests without an answer: %d, with 2xx: %d, 4xx: %d, 5xx: %d", s.version, s.answers[0].Load(), s.answers[2].Load(), s.answers[4].Load(), s.answers[5].Load())
	for _, refused := range []string{"listener_manager.lds.update_rejected", "cluster_manager.cds.update_rejected"} {
		if n := p.count(refused); n > 0 {
			t.Errorf("%s: %d", refused, n)
		}
	}
	if s.answers[2].Load() == 0 {
		t.Error("no request was served")
	}
}

type object = map[string]any
type list = []any

// storm is the surroundings: upstreams, and the files that are the
// configuration.
type storm struct {
	t       *testing.T
	r       *rand.Rand
	dir     string
	plain   int // ports
	secure  int
	echo    int
	dead    int
	http    int
	https   int
	tcp     int
	version int
	answers [6]atomic.Int32 // requests by the class of their status, 0: none
}

func newStorm(t *testing.T, seed uint64) *storm {
	s := &storm{t: t, r: rand.New(rand.NewPCG(seed, 1000)), dir: t.TempDir()}
	h := http.HandlerFunc(misbehave)
	plain := httptest.NewUnstartedServer(h)
	plain.Config.Protocols = new(http.Protocols)
	plain.Config.Protocols.SetHTTP1(true)
	plain.Config.Protocols.SetUnencryptedHTTP2(true)
	plain.Config.ErrorLog = log.New(io.Discard, "", 0)
	plain.Start()
	secure := httptest.NewUnstartedServer(h)
	secure.EnableHTTP2, secure.Config.ErrorLog = true, plain.Config.ErrorLog
	secure.StartTLS()
	t.Cleanup(func() {
		for _, x := range []*httptest.Server{plain, secure} {
			x.CloseClientConnections()
			x.Close()
		}
	})
	s.plain, s.secure = plain.Listener.Addr().(*net.TCPAddr).Port, secure.Listener.Addr().(*net.TCPAddr).Port
	s.echo = tcprig.Start(t, func(c net.Conn) { io.Copy(c, c) }).Port
	for _, port := range []*int{&s.http, &s.https, &s.tcp, &s.dead} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		*port = l.Addr().(*net.TCPAddr).Port
		l.Close()
	}
	return s
}

// misbehave answers as the path asks.
func misbehave(w http.ResponseWriter, r *http.Request) {
	_, do, _ := strings.Cut(r.URL.Path[1:], "/")
	switch do {
	case "early":
	case "slow":
		io.Copy(io.Discard, r.Body)
		time.Sleep(30 * time.Millisecond)
	case "reset":
		panic(http.ErrAbortHandler)
	case "cut":
		w.Write(make([]byte, 5000))
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	case "big":
		io.Copy(io.Discard, r.Body)
		for range 8 {
			w.Write(make([]byte, 40<<10))
		}
		return
	case "fails":
		w.WriteHeader(503)
		return
	case "trailers":
		w.Header().Set("Trailer", "x-t")
		io.Copy(w, r.Body)
		w.Header().Set("x-t", "1")
		return
	default:
		io.Copy(w, r.Body)
	}
	w.Write([]byte("done"))
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

func (s *storm) sometimes(percent int) bool { return s.r.IntN(100) < percent }

func (s *storm) bootstrap() string {
	return fmt.Sprintf(`
node: {id: a, cluster: b}
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
dynamic_resources:
  lds_config: {path_config_source: {path: %[1]s/lds.json}}
  cds_config: {path_config_source: {path: %[1]s/cds.json}}
`, s.dir)
}

// resources are all of a configuration, by file.
type resources map[string]list

func (s *storm) write(all resources) {
	s.version++
	for _, name := range []string{"sds.json", "eds.json", "rds.json", "cds.json", "lds.json"} {
		b, err := json.Marshal(object{"version_info": strconv.Itoa(s.version), "resources": all[name]})
		if err != nil {
			s.t.Error(err)
		}
		path := filepath.Join(s.dir, name)
		if err := os.WriteFile(path+".new", b, 0o600); err != nil {
			s.t.Error(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			s.t.Error(err)
		}
	}
}

const apis = "type.googleapis.com/envoy."

func (s *storm) file(name string) object {
	return object{"path_config_source": object{"path": filepath.Join(s.dir, name)}}
}

// calm is a configuration in which everything is as it should be.
func (s *storm) calm() resources {
	return resources{
		"sds.json": {s.secret()},
		"eds.json": {ofType("config.endpoint.v3.ClusterLoadAssignment", s.assignment("eds", s.plain))},
		"rds.json": {s.routes(list{object{"match": object{"prefix": "/"}, "route": object{"cluster": "c0"}}})},
		"cds.json": {s.cluster("c0", s.plain), s.cluster("tcp", s.echo)},
		"lds.json": {s.listener("http", s.http, nil, s.manager(nil)), s.listener("https", s.https, s.tls(), s.manager(nil)), s.listener("tcp", s.tcp, nil, s.tcpProxy())},
	}
}

func (s *storm) assignment(name string, ports ...int) object {
	var hosts list
	for i, port := range ports {
		hosts = append(hosts, object{
			"endpoint":              object{"address": address(port), "hostname": "h" + strconv.Itoa(i)},
			"load_balancing_weight": 1 + i, "metadata": object{"filter_metadata": object{"envoy.lb": object{"v": strconv.Itoa(i % 2)}}},
		})
	}
	return object{"cluster_name": name, "endpoints": list{object{"lb_endpoints": hosts, "load_balancing_weight": 1}}}
}

func address(port int) object {
	return object{"socket_address": object{"address": "127.0.0.1", "port_value": port}}
}

func ofType(typ string, o object) object {
	o["@type"] = apis + typ
	return o
}

func (s *storm) cluster(name string, port int) object {
	return object{"@type": apis + "config.cluster.v3.Cluster", "name": name, "type": "STATIC", "connect_timeout": "1s", "load_assignment": s.assignment(name, port)}
}

func (s *storm) routes(routes list) object {
	return object{"@type": apis + "config.route.v3.RouteConfiguration", "name": "r", "virtual_hosts": list{object{"name": "v", "domains": list{"*"}, "routes": routes}}}
}

func (s *storm) listener(name string, port int, tls, filter object) object {
	chain := object{"filters": list{filter}}
	if tls != nil {
		chain["transport_socket"] = tls
	}
	return object{"@type": apis + "config.listener.v3.Listener", "name": name, "address": address(port), "filter_chains": list{chain}}
}

func typed(name, typ string, config object) object {
	if config == nil {
		config = object{}
	}
	config["@type"] = apis + typ
	return object{"name": name, "typed_config": config}
}

func (s *storm) tls() object {
	return typed("tls", "extensions.transport_sockets.tls.v3.DownstreamTlsContext", object{"common_tls_context": object{
		"alpn_protocols": list{"h2", "http/1.1"}, "tls_certificate_sds_secret_configs": list{object{"name": "s", "sds_config": s.file("sds.json")}}}})
}

func (s *storm) secret() object {
	return ofType("extensions.transport_sockets.tls.v3.Secret", object{"name": "s", "tls_certificate": stormCertificate()})
}

var stormCertificate = sync.OnceValue(func() object {
	x := httptest.NewUnstartedServer(nil)
	x.StartTLS()
	defer x.Close()
	return certificateOf(x.TLS.Certificates[0])
})

func (s *storm) manager(filters list) object {
	return typed("hcm", "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", object{
		"stat_prefix": "storm", "rds": object{"route_config_name": "r", "config_source": s.file("rds.json")},
		"http_filters": append(filters, typed("router", "extensions.filters.http.router.v3.Router", nil)),
	})
}

func (s *storm) tcpProxy() object {
	return typed("tcp", "extensions.filters.network.tcp_proxy.v3.TcpProxy", object{"stat_prefix": "tcp", "cluster": "tcp"})
}

var underWay = regexp.MustCompile(`(?m)^\S*(downstream_rq_active|downstream_cx_active|upstream_rq_active|upstream_rq_pending_active|rq_open|cx_open|rq_pending_open): [1-9].*$`)

// left is what a page of gauges tells is under way.
func (s *storm) left(gauges string) string {
	for _, l := range underWay.FindAllString(gauges, -1) {
		if !strings.Contains(l, ".admin.") && !strings.HasPrefix(l, "listener.admin") {
			return l
		}
	}
	return ""
}

// calmly tells whether each listener serves.
func (s *storm) calmly() bool {
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, Timeout: 2 * time.Second}
	for _, url := range []string{fmt.Sprintf("http://127.0.0.1:%d/", s.http), fmt.Sprintf("https://127.0.0.1:%d/", s.https)} {
		r, err := c.Post(url, "", strings.NewReader("well "))
		if err != nil {
			return false
		}
		b, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil || !bytes.Equal(b, []byte("well done")) {
			return false
		}
	}
	return true
}
