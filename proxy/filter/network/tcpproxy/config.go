package tcpproxy

import (
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tcpproxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/overload"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream/lb"
	"github.com/weirproxy/weir/xds/protos"
)

// TypeURL is the type of the filter's configuration.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"

// idleTimeoutDefault is Envoy's.
const idleTimeoutDefault = time.Hour

// Factory makes the filter's factory over the workers' cluster tables; o may be
// nil.
func Factory(find Find, o *overload.Manager) listener.NetworkFactory {
	return func(path field.Path, config *anypb.Any, ctx *listener.FactoryContext) (network.FilterFactory, error) {
		s, err := compile(path, config, ctx)
		if err != nil {
			return nil, err
		}
		s.find, s.overload, s.shedsData = find, o, o.Watches(overload.TCPProxyData)
		return s.newProxy, nil
	}
}

func compile(path field.Path, config *anypb.Any, ctx *listener.FactoryContext) (*settings, error) {
	p := &tcpproxyv3.TcpProxy{}
	if err := protos.Unpack(path, config, p); err != nil {
		return nil, err
	}
	if err := field.Only(path, p, "stat_prefix", "cluster", "weighted_clusters", "metadata_match", "idle_timeout", "access_log", "access_log_options", "access_log_flush_interval",
		"flush_access_log_on_connected", "max_connect_attempts", "backoff_options", "hash_policy", "tunneling_config", "max_downstream_connection_duration",
		"max_downstream_connection_duration_jitter_percentage", "proxy_protocol_tlvs", "proxy_protocol_tlv_merge_policy", "upstream_connect_mode",
		"max_early_data_bytes", "check_drain_close"); err != nil {
		return nil, err
	}
	s := &settings{idle: idleTimeoutDefault, attempts: 1, chain: ctx.Chain, listener: ctx.Listener, drain: ctx.Drain, checkDrain: p.GetCheckDrainClose().GetValue()}
	if d := p.GetIdleTimeout(); d != nil {
		s.idle = d.AsDuration()
	}
	s.maxDuration = p.GetMaxDownstreamConnectionDuration().AsDuration()
	s.jitter = p.GetMaxDownstreamConnectionDurationJitterPercentage().GetValue() / 100
	if n := p.GetMaxConnectAttempts(); n != nil {
		s.attempts = n.GetValue()
	}
	for _, step := range []func(field.Path, *tcpproxyv3.TcpProxy) error{s.compileTargets, s.compileHash, s.compileConnect, s.compileTLVs, s.compileTunnel, s.compileLogOptions} {
		if err := step(path, p); err != nil {
			return nil, err
		}
	}
	var err error
	if s.logs, err = ctx.AccessLogs(path.Dot("access_log"), p.GetAccessLog()); err != nil {
		return nil, err
	}
	s.stats = stats.NewGroup[Stats](ctx.Stats, stats.Scope{Prefix: "tcp." + p.GetStatPrefix() + "."})
	ctx.OnClose(s.stats.Close)
	return s, nil
}

func (s *settings) compileLogOptions(path field.Path, p *tcpproxyv3.TcpProxy) error {
	o := p.GetAccessLogOptions()
	if err := field.Only(path.Dot("access_log_options"), o, "access_log_flush_interval", "flush_access_log_on_connected", "flush_access_log_on_start"); err != nil {
		return err
	}
	//lint:ignore SA1019 deprecated, but Envoy obeys it
	every, connected := p.GetAccessLogFlushInterval(), p.GetFlushAccessLogOnConnected()
	if o != nil {
		if every != nil || connected {
			return path.Dot("access_log_options").Errorf("only one of access_log_options and access_log_flush_interval or flush_access_log_on_connected can be given")
		}
		every, connected = o.GetAccessLogFlushInterval(), o.GetFlushAccessLogOnConnected()
	}
	s.logEvery, s.logStart, s.logConnected = every.AsDuration(), o.GetFlushAccessLogOnStart(), connected
	return nil
}

// subsetNamespace is what load balancers look at of metadata.
const subsetNamespace = "envoy.lb"

func subset(path field.Path, m *corev3.Metadata, base []lb.MetadataCriterion) ([]lb.MetadataCriterion, error) {
	if err := field.Only(path, m, "filter_metadata"); err != nil {
		return nil, err
	}
	return lb.MergeCriteria(base, m.GetFilterMetadata()[subsetNamespace].AsMap()), nil
}

func (s *settings) compileTargets(path field.Path, p *tcpproxyv3.TcpProxy) error {
	all, err := subset(path.Dot("metadata_match"), p.GetMetadataMatch(), nil)
	if err != nil {
		return err
	}
	if c := p.GetCluster(); c != "" {
		s.targets = []target{{name: c, subset: all}}
		return nil
	}
	path = path.Dot("weighted_clusters").Dot("clusters")
	for i, c := range p.GetWeightedClusters().GetClusters() {
		if err := field.Only(path.Index(i), c, "name", "weight", "metadata_match"); err != nil {
			return err
		}
		own, err := subset(path.Index(i).Dot("metadata_match"), c.GetMetadataMatch(), all)
		if err != nil {
			return err
		}
		s.total += uint64(c.GetWeight())
		s.targets = append(s.targets, target{name: c.GetName(), subset: own, upTo: s.total})
	}
	return nil
}

func (s *settings) compileHash(path field.Path, p *tcpproxyv3.TcpProxy) error {
	for i, h := range p.GetHashPolicy() {
		if err := field.Only(path.Dot("hash_policy").Index(i), h, "source_ip", "filter_state"); err != nil {
			return err
		}
		s.hashState = h.GetFilterState().GetKey()
		s.hashSource = h.GetSourceIp() != nil
	}
	return nil
}
