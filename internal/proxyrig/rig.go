// Package proxyrig runs whole proxies for tests, in the test's process and
// over real sockets. Tests of HTTP filters use it: they say which filters,
// routes and clusters, and send requests with net/http.
package proxyrig

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/weirproxy/weir/proxy/server"
)

// Options say what a proxy does. The texts are YAML.
type Options struct {
	// Filters is the list of HTTP filters before the router.
	Filters string
	// Routes is the list of routes of the one virtual host; "" sends all to
	// the cluster "up".
	Routes string
	// Clusters are addresses by name; h2 after a blank asks for HTTP/2:
	// "127.0.0.1:80 h2".
	Clusters map[string]string
	// HCM is further fields of the connection manager.
	HCM string
}

// Rig is a running proxy.
type Rig struct {
	t     testing.TB
	URL   string
	Addr  string
	admin string
}

// New starts a proxy that ends with the test.
func New(t testing.TB, o Options) *Rig {
	t.Helper()
	r := &Rig{t: t, Addr: freeAddr(t), admin: freeAddr(t)}
	r.URL = "http://" + r.Addr
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- server.Run(ctx, server.Options{ConfigYAML: r.config(o), Concurrency: 1, LogLevel: "error", DrainTime: time.Millisecond, DrainStrategy: "immediate"})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the proxy ended: %v", err)
		}
	})
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		select {
		case err := <-done:
			done <- nil
			t.Fatalf("the proxy does not start: %v", err)
		default:
		}
		if status, _ := r.page("/ready"); status == 200 {
			return r
		}
		if time.Now().After(end) {
			t.Fatal("the proxy does not get ready")
		}
	}
}

// Refuses is the error with which a proxy refuses a list of filters; "" if it
// takes it.
func Refuses(t testing.TB, o Options) string {
	t.Helper()
	r := &Rig{t: t, Addr: freeAddr(t), admin: freeAddr(t)}
	err := server.Run(context.Background(), server.Options{ConfigYAML: r.config(o), Concurrency: 1, LogLevel: "error", Mode: server.Validate})
	if err == nil {
		return ""
	}
	return err.Error()
}

func (r *Rig) config(o Options) string {
	routes := o.Routes
	if routes == "" {
		routes = "[{match: {prefix: /}, route: {cluster: up}}]"
	}
	filters := list(r.t, o.Filters)
	filters = append(filters, map[string]any{"name": "router", "typed_config": map[string]any{"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}})
	hcm := map[string]any{
		"@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "in", "http_filters": filters,
		"route_config": map[string]any{"virtual_hosts": []any{map[string]any{"name": "v", "domains": []any{"*"}, "routes": list(r.t, routes)}}},
	}
	if o.HCM != "" {
		if err := yaml.Unmarshal([]byte(o.HCM), &hcm); err != nil {
			r.t.Fatal(err)
		}
	}
	var clusters []any
	for name, addr := range o.Clusters {
		addr, kind, _ := strings.Cut(addr, " ")
		c := map[string]any{"name": name, "connect_timeout": "2s", "load_assignment": map[string]any{"cluster_name": name, "endpoints": []any{
			map[string]any{"lb_endpoints": []any{map[string]any{"endpoint": map[string]any{"address": address(addr)}}}}}}}
		if kind == "h2" {
			c["http2_protocol_options"] = map[string]any{}
		}
		clusters = append(clusters, c)
	}
	out, err := json.Marshal(map[string]any{
		"admin": map[string]any{"address": address(r.admin)},
		"static_resources": map[string]any{"clusters": clusters, "listeners": []any{map[string]any{"name": "l", "address": address(r.Addr),
			"filter_chains": []any{map[string]any{"filters": []any{map[string]any{"name": "hcm", "typed_config": hcm}}}}}}},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return string(out)
}

func list(t testing.TB, text string) (out []any) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return out
}

func address(a string) any {
	host, port, _ := net.SplitHostPort(a)
	return map[string]any{"socket_address": map[string]any{"address": host, "port_value": json.Number(port)}}
}

func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Answer is a response, read whole.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// Do sends a request. headers are names and values by turns.
func (r *Rig) Do(method, path, body string, headers ...string) Answer {
	r.t.Helper()
	q, err := http.NewRequest(method, r.URL+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		q.Header.Add(headers[i], headers[i+1])
	}
	tr := &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	resp, err := tr.RoundTrip(q)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return Answer{resp.StatusCode, resp.Header, string(b)}
}

// Stat is a statistic's value on the admin page, "" when it is not there.
func (r *Rig) Stat(name string) string {
	r.t.Helper()
	_, body := r.page("/stats")
	for line := range strings.Lines(body) {
		if n, v, _ := strings.Cut(strings.TrimSpace(line), ": "); n == name {
			return v
		}
	}
	return ""
}

func (r *Rig) page(path string) (int, string) {
	tr := &http.Transport{DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: tr, Timeout: 5 * time.Second}).Get("http://" + r.admin + path)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, fmt.Sprintf("%s", b)
}
