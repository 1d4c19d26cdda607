package udpproxy

import (
	"net/netip"
	"time"

	"github.com/cespare/xxhash/v2"
	udpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/udp/udp_proxy/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/matcher/tree"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/xds/protos"
)

// TypeURL is the type of the filter's configuration.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.udp.udp_proxy.v3.UdpProxyConfig"

const routeType = "envoy.extensions.filters.udp.udp_proxy.v3.Route"

// idleTimeoutDefault is Envoy's.
const idleTimeoutDefault = time.Minute

// Factory makes the filter's factory over the workers' cluster tables.
func Factory(find Find) listener.UDPFactory {
	return func(path field.Path, config *anypb.Any, ctx *listener.FactoryContext) (listener.UDPFilterFactory, error) {
		s, err := compile(path, config, ctx)
		if err != nil {
			return nil, err
		}
		s.find = find
		return s.newFilter, nil
	}
}

func compile(path field.Path, config *anypb.Any, ctx *listener.FactoryContext) (*settings, error) {
	p := &udpv3.UdpProxyConfig{}
	if err := protos.Unpack(path, config, p); err != nil {
		return nil, err
	}
	if err := field.Only(path, p, "stat_prefix", "cluster", "matcher", "idle_timeout", "use_original_src_ip", "hash_policies", "upstream_socket_config",
		"use_per_packet_load_balancing", "access_log", "proxy_access_log", "access_log_options"); err != nil {
		return nil, err
	}
	s := &settings{idle: idleTimeoutDefault, originalSource: p.GetUseOriginalSrcIp(), perPacket: p.GetUsePerPacketLoadBalancing()}
	if d := p.GetIdleTimeout(); d != nil {
		if s.idle = d.AsDuration(); s.idle < 0 {
			return nil, path.Dot("idle_timeout").Errorf("must not be negative")
		}
	}
	s.maxSize, s.gro = listener.UDPSocketConfig(p.GetUpstreamSocketConfig(), true)
	if err := s.compileRoute(path, p, ctx); err != nil {
		return nil, err
	}
	for i, h := range p.GetHashPolicies() {
		if err := field.Only(path.Dot("hash_policies").Index(i), h, "source_ip", "key"); err != nil {
			return nil, err
		}
		if s.hash = hashSource; h.GetKey() != "" {
			key := xxhash.Sum64String(h.GetKey())
			s.hash = func(netip.Addr) uint64 { return key }
		}
	}
	if err := s.compileLogs(path, p, ctx); err != nil {
		return nil, err
	}
	s.stats = stats.NewGroup[Stats](ctx.Stats, stats.Scope{Prefix: "udp." + p.GetStatPrefix() + "."})
	ctx.OnClose(s.stats.Close)
	return s, nil
}

func (s *settings) compileRoute(path field.Path, p *udpv3.UdpProxyConfig, ctx *listener.FactoryContext) (err error) {
	m := p.GetMatcher()
	if m == nil {
		//lint:ignore SA1019 deprecated, but Envoy obeys it
		s.cluster = p.GetCluster()
		return nil
	}
	o := tree.Options[string]{Context: tree.Datagrams, KeepMatching: true, Runtime: ctx.Runtime, Action: func(p field.Path, _ string, config *anypb.Any) (string, error) {
		if name := protos.TypeName(config); name != routeType {
			return "", p.Errorf("weir has no action %q here", name)
		}
		r, err := protos.UnpackAs[*udpv3.Route](p, config)
		return r.GetCluster(), err
	}}
	s.matcher, err = tree.Compile(path.Dot("matcher"), m, o)
	return err
}

func (s *settings) compileLogs(path field.Path, p *udpv3.UdpProxyConfig, ctx *listener.FactoryContext) (err error) {
	o := p.GetAccessLogOptions()
	// flush_access_log_on_tunnel_connected needs a tunnel to do anything.
	if err := field.Only(path.Dot("access_log_options"), o, "access_log_flush_interval", "flush_access_log_on_tunnel_connected"); err != nil {
		return err
	}
	s.logEvery = o.GetAccessLogFlushInterval().AsDuration()
	if s.logs, err = ctx.AccessLogs(path.Dot("access_log"), p.GetAccessLog()); err != nil {
		return err
	}
	s.proxyLogs, err = ctx.AccessLogs(path.Dot("proxy_access_log"), p.GetProxyAccessLog())
	return err
}
