package server

import (
	"net"
	"net/netip"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/accesslog"
	"github.com/weirproxy/weir/proxy/filter"
	"github.com/weirproxy/weir/proxy/filter/network/extauthz"
	"github.com/weirproxy/weir/proxy/filter/network/metadataexchange"
	"github.com/weirproxy/weir/proxy/filter/network/ratelimit"
	"github.com/weirproxy/weir/proxy/filter/network/snidynamicforward"
	"github.com/weirproxy/weir/proxy/filter/network/tcpproxy"
	"github.com/weirproxy/weir/proxy/filter/udp/dnsfilter"
	"github.com/weirproxy/weir/proxy/filter/udp/udpproxy"
	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/http/manager"
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/overload"
	"github.com/weirproxy/weir/proxy/route"
	"github.com/weirproxy/weir/proxy/router"
	"github.com/weirproxy/weir/proxy/secret"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/streaminfo"
	"github.com/weirproxy/weir/proxy/tracing"
	"github.com/weirproxy/weir/proxy/upstream"
	"github.com/weirproxy/weir/proxy/upstream/async"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/xds/protos"
)

const managerType = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"

func (s *server) makeClusters() error {
	s.httpFilters = filter.HTTP(s.table, s.logOptions)
	s.upstreamFilters = filter.Lookup(filter.Upstream(s.httpFilters))
	o := upstream.Options{Main: s.loops[0], Workers: s.loops[1:], Stats: s.stats, Endpoints: s, Transports: s.upstreamTransports(), Log: s.log.get("upstream")}
	if s.node != nil {
		o.Dialer, o.Guard = s.node, s.node.guard
	}
	o.OutlierLog = s.bootstrap.GetClusterManager().GetOutlierDetection().GetEventLogPath()
	o.Runtime = cluster.Runtime{Integer: s.runtime.Integer, Double: s.runtime.Number}
	o.LocalCluster = s.bootstrap.GetClusterManager().GetLocalClusterName()
	if l := s.bootstrap.GetNode().GetLocality(); l != nil {
		o.Locality = &cluster.Locality{Region: l.GetRegion(), Zone: l.GetZone(), SubZone: l.GetSubZone()}
	}
	o.NetworkFilters = map[string]upstream.NetworkFactory{metadataexchange.TypeURL: metadataexchange.UpstreamFactory(s.istioNode())}
	o.HTTPPolicies, o.HTTPFilters = s.clusterPolicies, s.clusterFilters
	o.ShedsConnection = func() bool { return s.overload.Sheds(overload.PoolNewConnection) }
	async := stats.NewGroup[router.Stats](s.stats, stats.Scope{Prefix: "http.async-client."})
	o.AsyncRequests = func(worker int) *stats.Counter { return &async.For(worker).RqTotal }
	o.Warming = s.clustersWarm
	s.clusters = upstream.NewManager(o)
	if err := s.clusters.ResolveBy(s.bootstrap); err != nil {
		return err
	}
	return s.clusters.BindBy("cluster_manager.upstream_bind_config", s.bootstrap.GetClusterManager().GetUpstreamBindConfig())
}

// clusterPolicies is an upstream.PolicyCompiler.
func (s *server) clusterPolicies(p field.Path, o *httpv3.HttpProtocolOptions) (any, error) {
	c, err := route.CompileClusterPolicies(p, o, route.Options{Runtime: s.runtime.Value, CompileFormat: manager.CompileFormat})
	if c == nil {
		return nil, err
	}
	return c, err
}

// clusterFilters is an upstream.FilterCompiler.
func (s *server) clusterFilters(p field.Path, statPrefix string, o *httpv3.HttpProtocolOptions) (any, error) {
	ctx := s.filterContext(nil)
	ctx.StatPrefix = statPrefix
	c, err := router.CompileFilters(p, o.GetHttpFilters(), s.upstreamFilters, &ctx)
	if c == nil {
		return nil, err
	}
	return c, err
}

// istioNode is what Istio's proxies tell each other of themselves.
func (s *server) istioNode() metadataexchange.Node {
	n := s.bootstrap.GetNode()
	return metadataexchange.Node{ID: n.GetId(), Metadata: s.nodeMetadata}
}

func (s *server) makeListeners() {
	s.nodeFields = nodeFields(s.xds.Node())
	srv := &listener.Server{Main: s.loops[0], Workers: s.loops[1:], Stats: s.stats, Runtime: s.runtime.Value, Overload: s.overload, Log: s.log.get("main"), AccessLog: s.accessLogs}
	s.listeners = listener.NewManager(srv, listener.Options{
		Factories: &listener.Factories{
			Listener:  filter.Listener(),
			Transport: s.downstreamTransports(),
			Network:   s.networkFilters(),
			UDP: map[string]listener.UDPFactory{
				udpproxy.TypeURL:  udpproxy.Factory(s.udpCluster),
				dnsfilter.TypeURL: dnsfilter.Factory(s.o.DNSListener, s.takeDNSTable, s.leaveDNSTable),
			},
			Discovery: s.extensions,
		},
		DrainTime: s.o.DrainTime, DrainImmediately: s.o.DrainStrategy == "immediate", Validate: s.o.Mode == Validate,
	})
}

func (s *server) networkFilters() map[string]listener.NetworkFilter {
	table := filter.Network()
	table[managerType] = listener.NetworkFilter{New: s.httpManager, Terminal: true, ClientFirst: true}
	table[metadataexchange.TypeURL] = listener.NetworkFilter{New: metadataexchange.Factory(s.istioNode())}
	table[snidynamicforward.TypeURL] = listener.NetworkFilter{New: snidynamicforward.Factory(s.clusters.DNSCache)}
	table[tcpproxy.TypeURL] = listener.NetworkFilter{New: tcpproxy.Factory(s.tcpCluster, s.overload), Terminal: true}
	client := func(l *network.Loop) async.Client { return async.NewClient(s.table(l.Worker)) }
	table[extauthz.TypeURL] = listener.NetworkFilter{New: extauthz.Factory(client, s.local)}
	table[ratelimit.TypeURL] = listener.NetworkFilter{New: ratelimit.Factory(client, s.local)}
	return table
}

// table is the cluster table of a worker (1 and up).
func (s *server) table(worker int) *upstream.Table { return s.clusters.Table(worker - 1) }

func (s *server) tcpCluster(l *network.Loop, name string) tcpproxy.Cluster {
	if c := s.table(l.Worker).Get(name); c != nil {
		return c
	}
	return nil
}

func (s *server) udpCluster(l *network.Loop, name string) udpproxy.Cluster {
	if c := s.table(l.Worker).Get(name); c != nil {
		return c
	}
	return nil
}

// httpManager is the factory of the HTTP connection manager.
func (s *server) httpManager(p field.Path, config *anypb.Any, ctx *listener.FactoryContext) (network.FilterFactory, error) {
	m := &hcmv3.HttpConnectionManager{}
	if err := protos.Unpack(p, config, m); err != nil {
		return nil, err
	}
	c, err := manager.Compile(p, m, manager.Options{
		FactoryContext: s.filterContext(ctx),
		ListenerPrefix: ctx.StatPrefix, Listener: ctx.Listener, Chain: ctx.Chain,
		Cluster: s.clusterInfo, ListenerMetadata: ctx.Metadata, ChainMetadata: ctx.ChainMetadata,
		Filter:     filter.Lookup(s.httpFilters),
		Routes:     routeFactory{s.routes, ctx},
		AccessLogs: s.logOptions(),
		Node:       s.nodeFields, Direction: uint8(ctx.Direction),
		Drain: ctx.Drain, Overload: s.overload,
		Tracing: tracing.Options{
			Providers: s.tracers, Runtime: s.runtime, Stats: s.stats, Egress: ctx.Direction == listener.Outbound,
			NodeID: s.bootstrap.GetNode().GetId(), Zone: s.bootstrap.GetNode().GetLocality().GetZone(),
		},
		Log: s.log.get("http"),
	})
	if err != nil {
		return nil, err
	}
	ctx.OnClose(c.Close)
	return c.Filter, nil
}

// filterContext is what the server has for HTTP filters. The listener waits
// for what they lack; there is none for those of routes and clusters, which
// have no discovery either.
func (s *server) filterContext(l *listener.FactoryContext) http.FactoryContext {
	node := s.bootstrap.GetNode()
	c := http.FactoryContext{
		Stats: s.stats, Loops: s.loops, Runtime: s.runtime.Value, RuntimeNumber: s.runtime.Number,
		ServiceCluster: node.GetCluster(), NodeID: node.GetId(), NodeMetadata: s.nodeMetadata,
		HealthCheckFailed: s.healthFail.Load, LocalAddress: s.local, FilterLog: s.log.get("filter"),
	}
	if s.overload.Watches(overload.RouterRequest) {
		c.Sheds = func() bool { return s.overload.Sheds(overload.RouterRequest) }
	}
	if l == nil {
		c.Secrets = secret.NewSource(s.secrets, nil)
		return c
	}
	c.Secrets, c.Discovery, c.Scope = secret.NewSource(s.secrets, l), s.extensions, l
	return c
}

// clusterInfo implements manager.ClusterInfo.
func (s *server) clusterInfo(worker int, name string) (stat string, metadata map[string]map[string]any, ok bool) {
	c := s.table(worker).Get(name)
	if c == nil {
		return "", nil, false
	}
	return c.Info().StatName, c.Info().Metadata, true
}

func (s *server) logOptions() accesslog.Options {
	return accesslog.Options{Writers: s.logs, Runtime: s.runtime.Value, Clients: collectors{s}, Loops: s.loops, Stats: s.stats}
}

// accessLogs compiles the access logs of listeners and network filters.
func (s *server) accessLogs(p field.Path, logs []*accesslogv3.AccessLog, ctx *listener.FactoryContext) ([]listener.AccessLog, error) {
	compiled, err := accesslog.Compile(p, logs, s.logOptions())
	if err != nil {
		return nil, err
	}
	ctx.OnClose(func() { accesslog.Close(compiled) })
	out := make([]listener.AccessLog, len(compiled))
	for i, l := range compiled {
		out[i] = connectionLog{l, make([]formatter.Context, len(s.loops))}
	}
	return out, nil
}

// connectionLog logs connections, with a context for each worker.
type connectionLog struct {
	accesslog.Logger
	contexts []formatter.Context
}

// Log implements listener.AccessLog.
func (l connectionLog) Log(loop *network.Loop, i *streaminfo.Info) {
	c := &l.contexts[loop.Worker]
	c.Info, c.Now, c.Time = i, loop.Now(), loop.Time()
	l.Logger.Log(loop.Worker, c)
	c.Info = nil
}

// localAddress is the machine's first address that is not a loopback one, as
// Envoy puts it into X-Forwarded-For for local clients.
func localAddress() netip.Addr {
	addrs, _ := net.InterfaceAddrs()
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && !p.Addr().IsLoopback() && p.Addr().Is4() {
			return p.Addr()
		}
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

var _ stats.Owner = (*network.Loop)(nil)

// nodeFields are what expressions see of the node.
func nodeFields(n *corev3.Node) map[string]any {
	out := map[string]any{"id": n.GetId(), "cluster": n.GetCluster(), "user_agent_name": n.GetUserAgentName()}
	if l := n.GetLocality(); l != nil {
		out["locality"] = map[string]any{"region": l.GetRegion(), "zone": l.GetZone(), "sub_zone": l.GetSubZone()}
	}
	if m := n.GetMetadata(); m != nil {
		out["metadata"] = m.AsMap()
	}
	return out
}
