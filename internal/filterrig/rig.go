// Package filterrig runs HTTP filters for tests: a listener with a connection
// manager whose chain is the filters under test and, at its end, an upstream
// that answers with what reached it. Tests are clients over real sockets.
package filterrig

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	nethttp "net/http"
	"strings"
	"testing"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/internal/listenerrig"
	"github.com/weirproxy/weir/proxy/accesslog"
	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/http/manager"
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/route"
	"github.com/weirproxy/weir/xds/protos"
)

const (
	managerURL  = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
	upstreamURL = "type.googleapis.com/google.protobuf.Empty"
)

// Options say what is under test.
type Options struct {
	Filters map[string]http.FilterMaker       // by the type URL of their configuration
	Network map[string]listener.NetworkFilter // before the connection manager
	Runtime map[string]uint64
	Workers int
}

// Rig is a running listener.
type Rig struct {
	*listenerrig.Rig
	t       testing.TB
	Address string
	client  *nethttp.Client
	o       Options
}

// Start runs a connection manager (stat_prefix "in") with http_filters, a YAML
// list in flow style. routes is the YAML of the routes of its only virtual
// host; "" forwards everything. It fails the test when the configuration is
// refused.
func Start(t testing.TB, o Options, filters, routes string) *Rig {
	t.Helper()
	r := &Rig{t: t, o: o, client: &nethttp.Client{Transport: &nethttp.Transport{DisableCompression: true}, CheckRedirect: func(*nethttp.Request, []*nethttp.Request) error {
		return nethttp.ErrUseLastResponse
	}}}
	network := map[string]listener.NetworkFilter{managerURL: {New: r.manager, Terminal: true}}
	for url, f := range o.Network {
		network[url] = f
	}
	r.Rig = listenerrig.New(t, listenerrig.Options{Workers: o.Workers, Factories: &listener.Factories{Network: network}})
	r.Address = r.MustAdd(config(filters, routes))
	t.Cleanup(r.client.CloseIdleConnections)
	return r
}

// Refuse returns the error that the configuration is refused with.
func Refuse(t testing.TB, o Options, filters, routes string) error {
	t.Helper()
	r := &Rig{t: t, o: o}
	r.Rig = listenerrig.New(t, listenerrig.Options{Factories: &listener.Factories{Network: map[string]listener.NetworkFilter{managerURL: {New: r.manager, Terminal: true}}}})
	err := r.Add(config(filters, routes))
	if err == nil {
		t.Errorf("%s %s: not refused", filters, routes)
		return fmt.Errorf("not refused")
	}
	return err
}

func config(filters, routes string) string {
	if routes == "" {
		routes = "[{match: {prefix: /}, route: {cluster: u}}]"
	}
	filters = strings.TrimSuffix(strings.TrimSpace(filters), "]")
	if filters != "[" {
		filters += ", "
	}
	return fmt.Sprintf(`
name: l
address: {socket_address: {address: 127.0.0.1, port_value: 0}}
filter_chains:
- filters:
  - name: hcm
    typed_config:
      "@type": %s
      stat_prefix: in
      http_filters: %s{name: upstream, typed_config: {"@type": %s}}]
      route_config: {name: r, virtual_hosts: [{name: v, domains: ["*"], routes: %s}]}
`, managerURL, filters, upstreamURL, routes)
}

// Filter is one filter in flow style, for http_filters.
func Filter(name, typeURL, config string) string {
	if config != "" {
		config = ", " + config
	}
	return fmt.Sprintf(`{name: %q, typed_config: {"@type": %s%s}}`, name, typeURL, config)
}

// PerRoute is a typed_per_filter_config in flow style.
func PerRoute(name, typeURL, config string) string {
	if config != "" {
		config = ", " + config
	}
	return fmt.Sprintf(`typed_per_filter_config: {%q: {"@type": %s%s}}`, name, typeURL, config)
}

func (r *Rig) runtime() fraction.Runtime {
	return func(key string, def uint64) uint64 {
		if v, ok := r.o.Runtime[key]; ok {
			return v
		}
		return def
	}
}

func (r *Rig) manager(p field.Path, config *anypb.Any, ctx *listener.FactoryContext) (network.FilterFactory, error) {
	m := &hcmv3.HttpConnectionManager{}
	if err := protos.Unpack(p, config, m); err != nil {
		return nil, err
	}
	loops := append([]*network.Loop{r.Server.Main}, r.Server.Workers...)
	c, err := manager.Compile(p, m, manager.Options{
		Stats: r.Server.Stats, Loops: loops, ListenerPrefix: ctx.StatPrefix, Listener: ctx.Listener,
		Filter: func(url string) (http.FilterMaker, bool) {
			if url == upstreamURL {
				return upstreamMaker, true
			}
			f, ok := r.o.Filters[url]
			return f, ok
		},
		Routes: r, AccessLogs: accesslog.Options{}, NodeID: "node", Runtime: r.runtime(),
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	ctx.OnClose(c.Close)
	return c.Filter, nil
}

// Provider implements manager.RouteFactory.
func (r *Rig) Provider(p field.Path, m *hcmv3.HttpConnectionManager) (manager.RouteProvider, error) {
	c, err := r.compile(p.Dot("route_config"), m.GetRouteConfig())
	return manager.StaticRoutes{Routes: c}, err
}

func (r *Rig) compile(p field.Path, m *routev3.RouteConfiguration) (*route.Config, error) {
	return route.Compile(p, m, route.Options{CompileFormat: manager.CompileFormat})
}

// Answer is a response as the client saw it.
type Answer struct {
	Status  int
	Header  nethttp.Header
	Trailer nethttp.Header
	Body    string
}

// Get is Do for a GET; headers are name, value, name, value, …
func (r *Rig) Get(path string, headers ...string) Answer {
	r.t.Helper()
	return r.Do("GET", path, "", headers...)
}

// Do sends a request and returns the answer.
func (r *Rig) Do(method, path, body string, headers ...string) Answer {
	r.t.Helper()
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	q, err := nethttp.NewRequest(method, "http://"+r.Address+path, content)
	if err != nil {
		r.t.Fatal(err)
	}
	q.Header.Set("User-Agent", "")
	for i := 0; i < len(headers); i += 2 {
		if strings.EqualFold(headers[i], "host") {
			q.Host = headers[i+1]
			continue
		}
		q.Header.Add(headers[i], headers[i+1])
	}
	a, err := r.client.Do(q)
	if err != nil {
		r.t.Fatal(err)
	}
	defer a.Body.Close()
	b := &bytes.Buffer{}
	if _, err := io.Copy(b, a.Body); err != nil {
		r.t.Fatal(err)
	}
	return Answer{a.StatusCode, a.Header, a.Trailer, b.String()}
}

// Reached tells whether the answer is the upstream's.
func (a Answer) Reached() bool { return a.Header.Get("x-upstream") == "yes" }

// Request is the value of a header that reached the upstream, as its answer's
// body tells; several are joined by ",".
func (a Answer) Request(name string) string {
	var out []string
	for line := range strings.Lines(a.Body) {
		if v, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), name+": "); ok {
			out = append(out, v)
		}
	}
	return strings.Join(out, ",")
}
