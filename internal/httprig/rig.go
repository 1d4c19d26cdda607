package httprig

import (
	"fmt"
	"log/slog"
	"net"
	stdhttp "net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"
	"sigs.k8s.io/yaml"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/internal/listenerrig"
	"github.com/weirproxy/weir/proxy/accesslog"
	"github.com/weirproxy/weir/proxy/ecds"
	"github.com/weirproxy/weir/proxy/filter"
	"github.com/weirproxy/weir/proxy/filter/network/extauthz"
	"github.com/weirproxy/weir/proxy/filter/network/ratelimit"
	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/http/manager"
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/route"
	"github.com/weirproxy/weir/proxy/router"
	"github.com/weirproxy/weir/proxy/secret"
	"github.com/weirproxy/weir/proxy/upstream"
	"github.com/weirproxy/weir/proxy/upstream/async"
	"github.com/weirproxy/weir/xds/protos"
)

// Rig is a running proxy without configuration.
type Rig struct {
	*listenerrig.Rig
	t        testing.TB
	filters  map[string]http.FilterMaker
	clusters *upstream.Manager
	logs     *accesslog.Writers
	runtime  route.Runtime
	secrets  *secrets
	ecds     ecds.Discovery
	nth      int
}

// Options vary a rig.
type Options struct {
	Workers int // 1 when 0
	// Filters are added to those of proxy/filter, by type URL.
	Filters map[string]http.FilterMaker
	Runtime route.Runtime
	Secrets map[string]string // generic ones, by name; see SetSecret
	// Discovery brings configurations of filters; nil: they are refused.
	Discovery ecds.Discovery
}

const managerURL = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"

// New starts a rig, which ends with the test.
func New(t testing.TB, o Options) *Rig {
	t.Helper()
	r := &Rig{t: t, runtime: o.Runtime, ecds: o.Discovery, secrets: &secrets{map[string]*tlsv3.Secret{}, map[string][]secret.OnChange{}}}
	r.filters = filter.HTTP(func(worker int) *upstream.Table { return r.clusters.Table(worker - 1) },
		func() accesslog.Options { return accesslog.Options{Writers: r.logs} })
	for url, m := range o.Filters {
		r.filters[url] = m
	}
	r.Rig = listenerrig.New(t, listenerrig.Options{Workers: o.Workers, Factories: &listener.Factories{Listener: filter.Listener(), Network: r.network()}})
	s := r.Server
	r.Main(func() {
		r.clusters = upstream.NewManager(upstream.Options{Main: s.Main, Workers: s.Workers, Stats: s.Stats, HTTPFilters: r.clusterFilters})
		r.logs = accesslog.NewWriters(r.loops(), accesslog.WritersOptions{Log: slog.Default()})
	})
	t.Cleanup(r.logs.Close)
	for name, value := range o.Secrets {
		r.SetSecret(name, value)
	}
	return r
}

func (r *Rig) loops() []*network.Loop {
	return append([]*network.Loop{r.Server.Main}, r.Server.Workers...)
}

// network is the table of network filters, with those that call services.
func (r *Rig) network() map[string]listener.NetworkFilter {
	client := func(l *network.Loop) async.Client { return async.NewClient(r.clusters.Table(l.Worker - 1)) }
	table := filter.Network()
	table[managerURL] = listener.NetworkFilter{New: r.manager, Terminal: true}
	table[extauthz.TypeURL] = listener.NetworkFilter{New: extauthz.Factory(client, localAddress)}
	table[ratelimit.TypeURL] = listener.NetworkFilter{New: ratelimit.Factory(client, localAddress)}
	return table
}

var localAddress = netip.MustParseAddr("127.0.0.1")

func (r *Rig) manager(p field.Path, config *anypb.Any, ctx *listener.FactoryContext) (network.FilterFactory, error) {
	m := &hcmv3.HttpConnectionManager{}
	if err := protos.Unpack(p, config, m); err != nil {
		return nil, err
	}
	c, err := manager.Compile(p, m, manager.Options{
		FactoryContext: r.filterContext(ctx), ListenerPrefix: ctx.StatPrefix, Listener: ctx.Listener,
		Filter: filter.Lookup(r.filters),
		Routes: r, AccessLogs: accesslog.Options{Writers: r.logs}, Drain: ctx.Drain, Log: slog.Default(),
	})
	if err != nil {
		return nil, err
	}
	ctx.OnClose(c.Close)
	return c.Filter, nil
}

// filterContext is what HTTP filters have: those of a listener, or of routes.
func (r *Rig) filterContext(l *listener.FactoryContext) http.FactoryContext {
	c := http.FactoryContext{Stats: r.Server.Stats, Loops: r.loops(), Runtime: fraction.Runtime(r.runtime), LocalAddress: localAddress, FilterLog: slog.Default()}
	if l == nil {
		c.Secrets = secret.NewSource(r.secrets, nil)
		return c
	}
	c.Secrets, c.Discovery, c.Scope = secret.NewSource(r.secrets, l), r.ecds, l
	return c
}

// clusterFilters is an upstream.FilterCompiler.
func (r *Rig) clusterFilters(p field.Path, statPrefix string, o *httpv3.HttpProtocolOptions) (any, error) {
	fc := r.filterContext(nil)
	fc.StatPrefix = statPrefix
	c, err := router.CompileFilters(p, o.GetHttpFilters(), filter.Lookup(filter.Upstream(r.filters)), &fc)
	if c == nil {
		return nil, err
	}
	return c, err
}

// Provider implements manager.RouteFactory.
func (r *Rig) Provider(p field.Path, m *hcmv3.HttpConnectionManager) (manager.RouteProvider, error) {
	ctx := r.filterContext(nil)
	c, err := route.Compile(p.Dot("route_config"), m.GetRouteConfig(), route.Options{
		FilterConfig:  filter.RouteConfigs(r.filters, &ctx),
		CompileFormat: manager.CompileFormat, Runtime: r.runtime, Stats: r.Server.Stats,
	})
	return manager.StaticRoutes{Routes: c}, err
}

// Cluster adds a cluster of hosts; fields are further Cluster fields in YAML.
func (r *Rig) Cluster(name, fields string, hosts ...string) {
	r.t.Helper()
	var eps []string
	for _, h := range hosts {
		addr, port, err := net.SplitHostPort(h)
		if err != nil {
			r.t.Fatal(err)
		}
		eps = append(eps, fmt.Sprintf("{endpoint: {address: {socket_address: {address: %q, port_value: %s}}}}", addr, port))
	}
	y := fmt.Sprintf("name: %s\nload_assignment: {cluster_name: %s, endpoints: [{lb_endpoints: [%s]}]}\n%s\n", name, name, strings.Join(eps, ", "), fields)
	j, err := yaml.YAMLToJSON([]byte(y))
	if err != nil {
		r.t.Fatal(err)
	}
	c := &clusterv3.Cluster{}
	if err := protojson.Unmarshal(j, c); err != nil {
		r.t.Fatal(err)
	}
	r.Main(func() { _, err = r.clusters.AddOrUpdate("cluster", c, "1", true) })
	if err != nil {
		r.t.Fatal(err)
	}
	r.Settle()
}

// Upstream runs an HTTP/1 server and returns its address.
func (r *Rig) Upstream(h stdhttp.HandlerFunc) string {
	s := httptest.NewServer(h)
	r.t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// Serve adds a listener with a connection manager of the given fields, in
// YAML, and returns its address. stat_prefix is "in"; http_filters, where
// there are none, the router.
func (r *Rig) Serve(hcm string) string {
	r.t.Helper()
	config, err := r.listener(hcm)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.MustAdd(config)
}

// Refuses is the error that a connection manager of these fields gives.
func (r *Rig) Refuses(hcm string) error {
	r.t.Helper()
	config, err := r.listener(hcm)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.Add(config)
}

func (r *Rig) listener(hcm string) (string, error) {
	m := map[string]any{}
	if err := yaml.Unmarshal([]byte(hcm), &m); err != nil {
		return "", err
	}
	m["@type"] = managerURL
	if m["stat_prefix"] == nil {
		m["stat_prefix"] = "in"
	}
	if m["http_filters"] == nil {
		m["http_filters"] = []any{map[string]any{"name": "router", "typed_config": map[string]any{"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}}
	}
	r.nth++
	out, err := yaml.Marshal(map[string]any{
		"name":          fmt.Sprintf("http%d", r.nth),
		"stat_prefix":   fmt.Sprintf("http%d", r.nth),
		"address":       map[string]any{"socket_address": map[string]any{"address": "127.0.0.1", "port_value": 0}},
		"filter_chains": []any{map[string]any{"filters": []any{map[string]any{"name": "http", "typed_config": m}}}},
	})
	return string(out), err
}

// Routes is a route_config of one virtual host for all domains with the
// routes given in YAML's flow style.
func Routes(routes string) string {
	return "route_config: {virtual_hosts: [{name: all, domains: [\"*\"], routes: [" + routes + "]}]}\n"
}
