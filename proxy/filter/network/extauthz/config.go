package extauthz

import (
	"net/netip"
	"time"

	extauthzv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/ext_authz/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/grpc"
	"github.com/weirproxy/weir/proxy/grpc/authz"
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream/async"
	"github.com/weirproxy/weir/xds/protos"
)

// TypeURL is the type of the filter's configuration.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.network.ext_authz.v3.ExtAuthz"

// defaultTimeout bounds a question.
const defaultTimeout = 200 * time.Millisecond

// Factory makes the filter's factory. client calls services on a worker's
// loop; local is the machine's address.
func Factory(client func(*network.Loop) async.Client, local netip.Addr) listener.NetworkFactory {
	return listener.NetworkFrom(func(p field.Path, m *extauthzv3.ExtAuthz, ctx *listener.FactoryContext) (network.FilterFactory, error) {
		s, err := compile(p, m, local, ctx)
		if err != nil {
			return nil, err
		}
		s.client = client
		return s.newFilter, nil
	})
}

func compile(p field.Path, m *extauthzv3.ExtAuthz, local netip.Addr, ctx *listener.FactoryContext) (*settings, error) {
	if err := field.Only(p, m, "stat_prefix", "grpc_service", "failure_mode_allow", "include_peer_certificate", "transport_api_version", "filter_enabled_metadata",
		"include_tls_session", "metadata_context_namespaces", "shadow_mode"); err != nil {
		return nil, err
	}
	if err := protos.CheckVersion(p.Dot("transport_api_version"), m.GetTransportApiVersion()); err != nil {
		return nil, err
	}
	s := &settings{
		allowOnFailure: m.GetFailureModeAllow(), shadow: m.GetShadowMode(), namespaces: m.GetMetadataContextNamespaces(),
		tell: authz.Options{PeerCertificate: m.GetIncludePeerCertificate(), TLSSession: m.GetIncludeTlsSession()},
	}
	var err error
	if s.service, err = grpc.Compile(p.Dot("grpc_service"), m.GetGrpcService(), defaultTimeout, local); err != nil {
		return nil, err
	}
	if e := m.GetFilterEnabledMetadata(); e != nil {
		x, err := matcher.NewMetadata(p.Dot("filter_enabled_metadata"), e, nil)
		if err != nil {
			return nil, err
		}
		s.enabled = &x
	}
	s.stats = stats.NewGroup[Stats](ctx.Stats, stats.Scope{Prefix: "ext_authz." + m.GetStatPrefix() + "."})
	ctx.OnClose(s.stats.Close)
	return s, nil
}
