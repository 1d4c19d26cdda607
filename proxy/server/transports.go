package server

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/admin"
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/tls"
	"github.com/weirproxy/weir/proxy/upstream"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/proxy/upstream/internalupstream"
	"github.com/weirproxy/weir/proxy/upstream/proxyprotocol"
)

// downstreamTransports are the transport sockets of listeners.
func (s *server) downstreamTransports() map[string]listener.TransportSocketFactory {
	return map[string]listener.TransportSocketFactory{tls.DownstreamTypeURL: s.downstreamTLS}
}

// upstreamTransports are the transport sockets of clusters.
func (s *server) upstreamTransports() map[string]upstream.TransportFactory {
	return map[string]upstream.TransportFactory{tls.UpstreamTypeURL: s.upstreamTLS, proxyprotocol.TypeURL: proxyprotocol.New, internalupstream.TypeURL: internalupstream.New}
}

func (s *server) downstreamTLS(p field.Path, config *anypb.Any, ctx *listener.FactoryContext) (listener.TransportFactory, error) {
	x, err := tls.NewServer(p, config, tls.Options{Stats: s.stats, Prefix: ctx.StatPrefix, Secrets: s.secrets, Scope: ctx, Certs: &s.certs})
	if err != nil {
		return nil, err
	}
	return x.Socket, nil
}

func (s *server) upstreamTLS(p field.Path, config *anypb.Any, ctx *upstream.TransportContext) (cluster.Transport, error) {
	x, err := tls.NewClient(p, config, tls.Options{Stats: s.stats, Prefix: ctx.StatPrefix, Secrets: s.secrets, Scope: ctx, Certs: &s.certs})
	if err != nil {
		return nil, err
	}
	return upstreamTLS{x}, nil
}

// upstreamTLS is a TLS context as a cluster uses it.
type upstreamTLS struct{ *tls.Client }

// Socket implements cluster.Transport.
func (t upstreamTLS) Socket(l *network.Loop, h *cluster.Host, o cluster.TransportOptions) network.TransportSocket {
	return t.Client.Socket(l, tls.ClientOptions{Hostname: h.Hostname, ServerName: o.ServerName, SANs: o.SANs, Protocols: o.Protocols, Fallback: o.Fallback})
}

// dumpCerts is /certs.
func (s *server) dumpCerts(ctx context.Context) (out []admin.Certificate, err error) {
	err = s.onMain(ctx, func() {
		now := time.Now()
		details := func(ls []tls.Listed) []admin.CertificateDetails {
			ds := []admin.CertificateDetails{}
			for _, l := range ls {
				ds = append(ds, admin.NewCertificateDetails(l.Path, l.Cert, now))
			}
			return ds
		}
		for _, c := range s.certs.Contexts() {
			out = append(out, admin.Certificate{CACert: details(c.CAs), CertChain: details(c.Chain)})
		}
	})
	return out, err
}
