package admin

import (
	"context"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/weirproxy/weir/proxy/stats"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// inline is an owner without a loop: what is posted runs at once.
type inline struct{}

func (inline) Post(f func()) { f() }

type fakeLoggers map[string]string

func (l fakeLoggers) Levels() []LoggerLevel {
	return []LoggerLevel{{"admin", l["admin"]}, {"http", l["http"]}}
}
func (l fakeLoggers) SetLevel(name, level string) { l[name] = level }

const routesYAML = `{
 "name": "r1",
 "virtual_hosts": [{
  "name": "backend", "domains": ["a.example", "*.b.example"],
  "routes": [
   {"name": "split", "match": {"prefix": "/api", "headers": [{"name": "x-canary", "string_match": {"exact": "1"}}]},
    "route": {"weighted_clusters": {"clusters": [{"name": "v1", "weight": 90}, {"name": "version-two", "weight": 10}]}}},
   {"match": {"path": "/old"}, "redirect": {"host_redirect": "new.example", "https_redirect": true}},
   {"match": {"safe_regex": {"regex": "/x/[0-9]+"}, "runtime_fraction": {"default_value": {"numerator": 5}}}, "direct_response": {"status": 404}},
   {"match": {"prefix": "/"}, "route": {"cluster": "web"}}
  ]}, {"name": "rest", "domains": ["*"]}]}`

// testSources is an instance with something on every page.
func testSources(t *testing.T) Sources {
	store := stats.NewStore(inline{})
	store.Counter("http.in.downstream_rq_2xx").Add(7)
	store.Gauge("server.live").Set(1)
	var routes routev3.RouteConfiguration
	if err := protojson.Unmarshal([]byte(routesYAML), &routes); err != nil {
		t.Fatal(err)
	}
	return Sources{
		State: func() State { return Live },
		ServerInfo: func() proto.Message {
			return &adminv3.ServerInfo{Version: "weir/1", HotRestartVersion: "disabled", Node: &corev3.Node{Id: "n1"}, UptimeCurrentEpoch: durationpb.New(90 * time.Second)}
		},
		Stats: store,
		Clusters: func(context.Context) ([]Cluster, error) {
			limits := Limits{1024, 1024, 1024, 3}
			return []Cluster{
				{Name: "u1", ObservabilityName: "u1", Default: limits, High: limits, Hosts: []Host{
					{Address: "127.0.0.1:80", CxActive: 2, CxTotal: 3, RqTotal: 9, Weight: 1, Region: "r", SuccessRate: -1, LocalOriginSuccessRate: -1},
					{Address: "/run/u.sock", Hostname: "h", Health: FailedActiveHC | ActiveHCTimeout | DegradedEDSHealth, Weight: 2, Priority: 1, SuccessRate: 99.5, LocalOriginSuccessRate: -1},
				}},
				{Name: "u2", ObservabilityName: "alt", AddedViaAPI: true, EDSServiceName: "svc", Default: limits, High: limits, Outlier: &OutlierStatus{-1, -1, -1, 90.5}},
			}, nil
		},
		Listeners: func(context.Context) ([]Listener, error) {
			return []Listener{{"in", []string{"0.0.0.0:80", "[::]:80"}}, {"pipe", []string{"/run/weir.sock"}}}, nil
		},
		Routes: func(context.Context) ([]RouteTable, error) {
			return []RouteTable{NewRouteTable(&routes, "rds", "v7", []string{"in"}), {Name: "empty", Source: "static", VirtualHosts: []VirtualHost{}}}, nil
		},
		Certs: func(context.Context) ([]Certificate, error) { return nil, nil },
		Runtime: func(context.Context) (Runtime, error) {
			return Runtime{Layers: []string{"static"}, Entries: map[string]RuntimeEntry{"a.b": {[]string{"7"}, "7"}}}, nil
		},
		ConfigDump: dumpOf(),
		InitDump: func(context.Context) ([]UnreadyTargets, error) {
			return []UnreadyTargets{{"init manager Server", []string{"cds"}}}, nil
		},
		Log:     slog.New(slog.DiscardHandler),
		Loggers: fakeLoggers{"admin": "info", "http": "info"},
	}
}

func dumpOf(configs ...proto.Message) func(context.Context, bool) ([]proto.Message, error) {
	return func(context.Context, bool) ([]proto.Message, error) { return configs, nil }
}

// serve runs a server on a free port until the test ends.
func serve(t *testing.T, sources Sources) string {
	t.Helper()
	s, err := Listen(Config{Network: "tcp", Address: "127.0.0.1:0", ProfilePath: filepath.Join(t.TempDir(), "cpu.prof")}, sources)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- s.Serve() }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := errors.Join(s.Close(ctx), <-served); err != nil {
			t.Error(err)
		}
	})
	return "http://" + s.Address()
}

func do(t *testing.T, method, url string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(body)
}

// TestPages compares every page with testdata/NAME; -update rewrites them.
func TestPages(t *testing.T) {
	base := serve(t, testSources(t))
	for _, tc := range []struct{ golden, page, contentType string }{
		{"clusters.txt", "/clusters", "text/plain; charset=UTF-8"},
		{"clusters.json", "/clusters?format=json", "application/json"},
		{"clusters-filter.txt", "/clusters?filter=2$", "text/plain; charset=UTF-8"},
		{"listeners.txt", "/listeners", "text/plain; charset=UTF-8"},
		{"listeners.json", "/listeners?format=json", "application/json"},
		{"routes.txt", "/routes", "text/plain; charset=UTF-8"},
		{"routes.json", "/routes?format=json", "application/json"},
		{"server_info.json", "/server_info", "application/json"},
		{"stats.txt", "/stats", "text/plain; charset=UTF-8"},
		{"stats.json", "/stats?format=json", "application/json"},
		{"stats.html", "/stats?format=html&filter=rq", "text/html; charset=UTF-8"},
		{"prometheus.txt", "/stats/prometheus", "text/plain; charset=UTF-8"},
		{"prometheus.txt", "/stats?format=prometheus", "text/plain; charset=UTF-8"},
		{"certs.json", "/certs", "application/json"},
		{"runtime.json", "/runtime", "application/json"},
		{"init_dump.json", "/init_dump?mask=server", "application/json"},
		{"config_dump-empty.json", "/config_dump", "application/json"},
		{"help.txt", "/help", "text/plain; charset=UTF-8"},
		{"home.html", "/", "text/html; charset=UTF-8"},
	} {
		answer, body := do(t, "GET", base+tc.page)
		if answer.StatusCode != http.StatusOK {
			t.Errorf("%s: status %d: %s", tc.page, answer.StatusCode, body)
			continue
		}
		for name, want := range map[string]string{"Content-Type": tc.contentType, "Cache-Control": "no-cache, max-age=0", "X-Content-Type-Options": "nosniff"} {
			if got := answer.Header.Get(name); got != want {
				t.Errorf("%s: %s %q, want %q", tc.page, name, got, want)
			}
		}
		golden := filepath.Join("testdata", tc.golden)
		if *update {
			if err := os.WriteFile(golden, []byte(body), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if body != string(want) {
			t.Errorf("%s differs from %s:\n%s", tc.page, golden, body)
		}
	}
}

func TestAnswers(t *testing.T) {
	sources := testSources(t)
	state := Live
	sources.State = func() State { return state }
	sources.FailHealthCheck = func(fail bool) {
		state = Live
		if fail {
			state = Draining
		}
	}
	var drained []DrainOptions
	sources.Drain = func(o DrainOptions) error { drained = append(drained, o); return nil }
	quits := 0
	sources.Quit = func() { quits++ }
	sources.Routes = func(context.Context) ([]RouteTable, error) { return nil, errors.New("worker 1 did not answer") }
	base := serve(t, sources)
	for _, tc := range []struct {
		method, page string
		status       int
		want         string // the body, or its start when it ends in …
	}{
		{"GET", "/ready", 200, "LIVE\n"},
		{"POST", "/healthcheck/fail", 200, "OK\n"},
		{"GET", "/ready", 503, "DRAINING\n"},
		{"POST", "/healthcheck/ok", 200, "OK\n"},
		{"GET", "/ready?x", 200, "LIVE\n"},
		{"GET", "/healthcheck/fail", 405, "Method GET not allowed, POST required."},
		{"GET", "/nosuch", 404, "invalid path. admin commands are:\n  /: Admin home page\n…"},
		{"GET", "/stats/", 404, "invalid path. …"},
		{"GET", "/stats?type=foo", 400, "invalid &type= param"},
		{"GET", "/stats?format=foo", 400, "usage: /stats?format=(html|active-html|json|prometheus|text)\n\n"},
		{"GET", "/stats/prometheus?histogram_buckets=disjoint", 400, "unsupported prometheus histogram bucket mode"},
		{"GET", "/clusters?filter=((", 400, "Invalid re2 regex"},
		{"GET", "/config_dump?resource=foo", 404, "foo not found in config dump"},
		{"GET", "/routes", 503, "worker 1 did not answer\n"},
		{"POST", "/reset_counters", 200, "OK\n"},
		{"GET", "/stats?filter=2xx", 200, "http.in.downstream_rq_2xx: 0\n"},
		{"POST", "/reopen_logs", 501, "not supported by this instance\n"},
		{"POST", "/runtime_modify", 400, "usage: /runtime_modify?key1=…"},
		{"POST", "/runtime_modify?a=b", 503, "No admin layer specified"},
		{"POST", "/logging?http=debug", 200, "active loggers:\n  admin: info\n  http: debug\n\n"},
		{"POST", "/logging?paths=http:foo,admin:trace", 400, "error: unknown logger level\n…"},
		{"POST", "/logging?nosuch=debug", 400, "error: unknown logger name\n…"},
		{"POST", "/logging?level=error", 200, "active loggers:\n  admin: error\n  http: error\n\n"},
		{"POST", "/drain_listeners?graceful&inboundonly", 200, "OK\n"},
		{"POST", "/cpuprofiler", 400, "?enable=<y|n>\n"},
		{"POST", "/cpuprofiler?enable=y", 200, "OK\n"},
		{"POST", "/cpuprofiler?enable=n", 200, "OK\n"},
		{"GET", "/memory", 200, "{\n \"allocated\": \"…"},
		{"GET", "/memory/tcmalloc", 200, "/…"},
		{"GET", "/hot_restart_version", 200, "disabled"},
		{"GET", "/debug/pprof/cmdline", 200, "/…"},
		{"GET", "/debug/pprof/goroutine?debug=1", 200, "goroutine profile: …"},
		{"GET", "/debug/pprof/nosuch", 404, "Unknown profile\n"},
		{"POST", "/quitquitquit", 200, "OK\n"},
		{"HEAD", "/stats", 200, ""},
		{"PUT", "/ready", 200, "LIVE\n"},
	} {
		answer, body := do(t, tc.method, base+tc.page)
		start, isPrefix := strings.CutSuffix(tc.want, "…")
		if answer.StatusCode != tc.status || isPrefix && !strings.HasPrefix(body, start) || !isPrefix && body != tc.want {
			t.Errorf("%s %s: %d %q, want %d %q", tc.method, tc.page, answer.StatusCode, body, tc.status, tc.want)
		}
	}
	if quits != 1 {
		t.Errorf("%d quits, want 1", quits)
	}
	if len(drained) != 1 || drained[0] != (DrainOptions{Graceful: true, InboundOnly: true}) {
		t.Errorf("drained %+v", drained)
	}
}

func TestNoSources(t *testing.T) {
	base := serve(t, Sources{})
	for _, c := range append(envoyCommands(), ownCommands()...) {
		method := "GET"
		if c.mutates {
			method = "POST"
		}
		if answer, body := do(t, method, base+c.path); answer.StatusCode >= 500 && answer.StatusCode != 501 && c.path != "/runtime_modify" {
			t.Errorf("%s: %d %s", c.path, answer.StatusCode, body)
		}
	}
}

func TestUnixSocket(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "admin.sock")
	// A process that was killed left its socket behind.
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()
	s, err := Listen(Config{Network: "unix", Address: path, Mode: 0o600}, testSources(t))
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- s.Serve() }()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, error %v", info.Mode(), err)
	}
	client := http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", path) }}}
	answer, err := client.Get("http://admin/ready")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != 200 {
		t.Errorf("status %d", answer.StatusCode)
	}
	// One that is in use is not taken over.
	if _, err := Listen(Config{Network: "unix", Address: path}, Sources{}); err == nil {
		t.Error("a second server took the socket over")
	}
	file := filepath.Join(dir, "address")
	if err := s.WriteAddress(file); err != nil {
		t.Fatal(err)
	}
	if written, err := os.ReadFile(file); err != nil || string(written) != path {
		t.Errorf("address file %q, %v", written, err)
	}
	if err := errors.Join(s.Close(t.Context()), <-served); err != nil {
		t.Error(err)
	}
}

func TestNewConfig(t *testing.T) {
	for _, tc := range []struct {
		json string
		want Config
		err  string
	}{
		{json: `{"address": {"socket_address": {"address": "127.0.0.1", "port_value": 9901}}}`, want: Config{Network: "tcp4", Address: "127.0.0.1:9901", ProfilePath: defaultProfilePath}},
		{json: `{"access_log_path": "/dev/null", "profile_path": "/p", "address": {"socket_address": {"address": "::", "port_value": 1, "ipv4_compat": true}}}`, want: Config{Network: "tcp", Address: "[::]:1", ProfilePath: "/p"}},
		{json: `{"address": {"pipe": {"path": "/a.sock", "mode": 384}}}`, want: Config{Network: "unix", Address: "/a.sock", Mode: 0o600, ProfilePath: defaultProfilePath}},
		{json: `{}`, err: "admin.address: is required: socket_address or pipe"},
		{json: `{"address": {"socket_address": {"address": "localhost", "port_value": 1}}}`, err: `admin.address.socket_address.address: "localhost" is not an IP address`},
		{json: `{"address": {"socket_address": {"address": "::1", "port_value": 70000}}}`, err: "admin.address.socket_address.port_value: 70000 is not a port"},
		{json: `{"address": {"pipe": {}}}`, err: "admin.address.pipe.path: is empty"},
	} {
		var admin bootstrapv3.Admin
		if err := protojson.Unmarshal([]byte(tc.json), &admin); err != nil {
			t.Fatal(err)
		}
		got, err := NewConfig("admin", &admin)
		if tc.err != "" {
			if err == nil || err.Error() != tc.err {
				t.Errorf("%s: error %v, want %s", tc.json, err, tc.err)
			}
		} else if err != nil || got != tc.want {
			t.Errorf("%s: %+v, %v", tc.json, got, err)
		}
	}
	var unsupported bootstrapv3.Admin
	unsupported.SocketOptions = []*corev3.SocketOption{{}}
	if _, err := NewConfig("admin", &unsupported); err == nil || !strings.Contains(err.Error(), "socket_options") {
		t.Errorf("socket_options: error %v", err)
	}
}

// A name from a configuration must not become markup.
func TestHomeEscapes(t *testing.T) {
	sources := testSources(t)
	sources.ServerInfo = func() proto.Message { return &adminv3.ServerInfo{Node: &corev3.Node{Id: "<script>"}} }
	s, err := Listen(Config{Network: "tcp", Address: "127.0.0.1:0"}, sources)
	if err != nil {
		t.Fatal(err)
	}
	defer s.listener.Close()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if body := w.Body.String(); strings.Contains(body, "<script>") || !strings.Contains(body, "&lt;script&gt;") {
		t.Errorf("the node's name is not escaped: %s", body)
	}
}

func TestCrossOriginPostIsRefused(t *testing.T) {
	sources := testSources(t)
	sources.Quit = func() { t.Error("the proxy was stopped") }
	base := serve(t, sources)
	r, err := http.NewRequest("POST", base+"/quitquitquit", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Origin", "http://evil.example")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusForbidden {
		t.Errorf("status %d, want 403", answer.StatusCode)
	}
}

// FuzzPages: whatever is asked for, there is an answer.
func FuzzPages(f *testing.F) {
	s, err := Listen(Config{Network: "tcp", Address: "127.0.0.1:0"}, fuzzSources())
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { s.listener.Close() })
	f.Add("/stats", "filter=a&type=All&histogram_buckets=detailed&format=html")
	f.Add("/config_dump", "mask=static_secrets.secret.name&resource=static_secrets&name_regex=.*")
	f.Add("/logging", "paths=a:b,c:d")
	f.Add("/clusters", "filter=(")
	f.Fuzz(func(t *testing.T, path, query string) {
		if strings.HasPrefix(path, pprofPath) || strings.HasPrefix(path, "/cpuprofiler") || strings.HasPrefix(path, "/heap_dump") {
			return // take their time
		}
		for _, method := range []string{"GET", "POST"} {
			w := httptest.NewRecorder()
			s.ServeHTTP(w, &http.Request{Method: method, URL: &url.URL{Path: path, RawQuery: query}, Header: http.Header{}, Body: http.NoBody})
			if w.Code == 0 || w.Code == 500 {
				t.Errorf("%s %q ? %q: status %d", method, path, query, w.Code)
			}
		}
	})
}

func fuzzSources() Sources {
	secret, _ := anypb.New(&tlsv3.Secret{Name: "s"})
	return Sources{
		Log:        slog.New(slog.DiscardHandler),
		Stats:      stats.NewStore(inline{}),
		Loggers:    fakeLoggers{},
		Clusters:   func(context.Context) ([]Cluster, error) { return []Cluster{{Name: "a"}}, nil },
		Routes:     func(context.Context) ([]RouteTable, error) { return []RouteTable{{Name: "a"}}, nil },
		ConfigDump: dumpOf(&adminv3.SecretsConfigDump{StaticSecrets: []*adminv3.SecretsConfigDump_StaticSecret{{Name: "s", Secret: secret}}}),
	}
}

func TestDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/admin.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range append(envoyCommands(), ownCommands()...) {
		if !strings.Contains(string(doc), "`"+c.path+"`") {
			t.Errorf("docs/admin.md doesn't have %s", c.path)
		}
	}
}
