package tcpproxy

import (
	"time"

	tcpproxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/xds/protos"
)

// TypeURL is the type of the filter's configuration.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"

// idleTimeoutDefault is Envoy's.
const idleTimeoutDefault = time.Hour

// Factory makes the filter's factory over the workers' cluster tables.
func Factory(find Find) listener.NetworkFactory {
	return func(path field.Path, config *anypb.Any, ctx *listener.FactoryContext) (network.FilterFactory, error) {
		s, err := compile(path, config, ctx)
		if err != nil {
			return nil, err
		}
		s.find = find
		return s.newProxy, nil
	}
}

func compile(path field.Path, config *anypb.Any, ctx *listener.FactoryContext) (*settings, error) {
	p := &tcpproxyv3.TcpProxy{}
	if err := protos.Unpack(path, config, p); err != nil {
		return nil, err
	}
	if err := field.Only(path, p, "stat_prefix", "cluster", "weighted_clusters", "idle_timeout", "access_log", "access_log_options", "access_log_flush_interval", "max_connect_attempts", "hash_policy", "max_downstream_connection_duration"); err != nil {
		return nil, err
	}
	s := &settings{idle: idleTimeoutDefault, attempts: 1, chain: ctx.Chain, listener: ctx.Listener}
	if d := p.GetIdleTimeout(); d != nil {
		s.idle = d.AsDuration()
	}
	s.maxDuration = p.GetMaxDownstreamConnectionDuration().AsDuration()
	if n := p.GetMaxConnectAttempts(); n != nil {
		s.attempts = n.GetValue()
	}
	if err := s.compileClusters(path, p); err != nil {
		return nil, err
	}
	if err := s.compileHash(path.Dot("hash_policy"), p.GetHashPolicy()); err != nil {
		return nil, err
	}
	var err error
	if s.logs, err = ctx.AccessLogs(path.Dot("access_log"), p.GetAccessLog()); err != nil {
		return nil, err
	}
	if err := s.compileLogOptions(path, p); err != nil {
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
	every := p.GetAccessLogFlushInterval()
	if o != nil {
		if every != nil {
			return path.Dot("access_log_options").Errorf("only one of access_log_options and access_log_flush_interval can be given")
		}
		every = o.GetAccessLogFlushInterval()
	}
	s.logEvery, s.logStart, s.logConnected = every.AsDuration(), o.GetFlushAccessLogOnStart(), o.GetFlushAccessLogOnConnected()
	return nil
}

func (s *settings) compileClusters(path field.Path, p *tcpproxyv3.TcpProxy) error {
	if c := p.GetCluster(); c != "" {
		s.clusters = []weighted{{name: c, upTo: 1}}
		return nil
	}
	path = path.Dot("weighted_clusters").Dot("clusters")
	for i, c := range p.GetWeightedClusters().GetClusters() {
		if err := field.Only(path.Index(i), c, "name", "weight"); err != nil {
			return err
		}
		s.total += uint64(c.GetWeight())
		s.clusters = append(s.clusters, weighted{name: c.GetName(), upTo: s.total})
	}
	return nil
}

func (s *settings) compileHash(path field.Path, policies []*typev3.HashPolicy) error {
	for i, h := range policies {
		if err := field.Only(path.Index(i), h, "source_ip"); err != nil {
			return err
		}
		s.hashSource = true
	}
	return nil
}
