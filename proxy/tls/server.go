package tls

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
)

// Server is a compiled DownstreamTlsContext. Main changes its state, workers
// read it.
type Server struct {
	state  atomic.Pointer[serverState] // nil until its secrets are there
	group  *stats.Group[Stats]
	events *stats.Group[serverEvents]
}

// serverEvents are a listener's, under "server_ssl_socket_factory.".
type serverEvents struct {
	SecretsNotReady stats.Counter `stat:"downstream_context_secrets_not_ready"`
	UpdateBySDS     stats.Counter `stat:"ssl_context_update_by_sds"`
	UpstreamUnready stats.Counter `stat:"upstream_context_secrets_not_ready"`
}

// serverState is a context with its secrets. It is immutable.
type serverState struct {
	config     *tls.Config
	noALPN     *tls.Config // for clients with whom there is no protocol in common
	refuse     *tls.Config // has nothing in common with any client: the alert is handshake_failure
	certs      *certificates
	validation *Validation // nil: clients are not asked for certificates
}

// newServerState makes a state of a configuration that has all but what
// depends on the secrets. lifetime bounds its sessions, if it is not 0.
func newServerState(base *tls.Config, certs *certificates, v *Validation, lifetime time.Duration) *serverState {
	certs.tls13 = base.MaxVersion >= tls.VersionTLS13
	st := &serverState{config: base.Clone(), certs: certs, validation: v}
	c := st.config
	if lifetime > 0 {
		limitSessions(c, lifetime)
	}
	c.GetConfigForClient = st.onHello
	c.GetCertificate = func(h *tls.ClientHelloInfo) (*tls.Certificate, error) { return socketOf(h.Context()).chosen, nil }
	switch {
	case v.requires():
		c.ClientAuth = tls.RequireAnyClientCert
	case v.asks() && c.ClientAuth == tls.NoClientCert:
		c.ClientAuth = tls.RequestClientCert
	}
	if c.ClientAuth != tls.NoClientCert && v != nil {
		if !v.hideCAs {
			c.ClientCAs = v.clientCAs()
		}
		c.VerifyConnection = func(cs tls.ConnectionState) error {
			if len(cs.PeerCertificates) == 0 {
				return nil
			}
			if cs.Version >= tls.VersionTLS13 { // before, as in Envoy, only the chain's check looks
				if err := mayAgree(cs); err != nil {
					return err
				}
			}
			_, err := v.check(cs.PeerCertificates, nil, x509.ExtKeyUsageClientAuth)
			return err
		}
	}
	if len(c.NextProtos) > 0 {
		st.noALPN = c.Clone()
		st.noALPN.NextProtos = nil
	}
	st.refuse = c.Clone()
	st.refuse.GetConfigForClient = nil
	st.refuse.CipherSuites, st.refuse.CurvePreferences = []uint16{}, []tls.CurveID{0}
	return st
}

// onHello is tls.Config.GetConfigForClient: it chooses the certificate, and
// leaves ALPN out for clients that offer none of the protocols, since
// crypto/tls would refuse them and Envoy does not.
func (st *serverState) onHello(h *tls.ClientHelloInfo) (*tls.Config, error) {
	s := socketOf(h.Context())
	s.refused = st.certs.onHello(s, h)
	if s.refused == nil && st.agreesBefore13(h) && !knowsCurve(h, s.local) {
		s.refused = errWrongCurve
	}
	if s.refused != nil {
		return st.refuse, nil
	}
	offers := func(p string) bool { return slices.Contains(h.SupportedProtos, p) }
	if st.noALPN == nil || len(h.SupportedProtos) == 0 || slices.ContainsFunc(st.config.NextProtos, offers) {
		return nil, nil
	}
	return st.noALPN, nil
}

// agreesBefore13 tells whether the handshake will agree on a version before TLS 1.3.
func (st *serverState) agreesBefore13(h *tls.ClientHelloInfo) bool {
	most := uint16(0)
	for _, v := range h.SupportedVersions {
		if v >= st.config.MinVersion && v <= st.config.MaxVersion {
			most = max(most, v)
		}
	}
	return most != 0 && most < tls.VersionTLS13
}

// knowsCurve tells whether the client lists the curve of c's key, if that is on
// one, as BoringSSL wants it before TLS 1.3 (RFC 8422 section 5.1).
func knowsCurve(h *tls.ClientHelloInfo, c *x509.Certificate) bool {
	key, ok := c.PublicKey.(*ecdsa.PublicKey)
	if !ok || len(h.SupportedCurves) == 0 {
		return true
	}
	id := tls.CurveP256
	switch key.Curve {
	case elliptic.P384():
		id = tls.CurveP384
	case elliptic.P521():
		id = tls.CurveP521
	}
	return slices.Contains(h.SupportedCurves, id)
}

// Socket makes the transport socket of a connection accepted on loop l.
func (x *Server) Socket(l *network.Loop) network.TransportSocket {
	st := x.state.Load()
	if st == nil {
		x.events.For(l.Worker).SecretsNotReady.Inc()
		return notReady{}
	}
	return &socket{end: &serverEnd{st, x.group.For(l.Worker)}, local: st.certs.all[0].Leaf}
}

// serverEnd is the server's side of a connection.
type serverEnd struct {
	st *serverState
	n  *Stats
}

func (e *serverEnd) start(w net.Conn) *tls.Conn { return tls.Server(w, e.st.config) }
func (e *serverEnd) speaksFirst() bool          { return false }
func (e *serverEnd) stats() *Stats              { return e.n }

func (e *serverEnd) verdict(chain []*x509.Certificate) verdict {
	return e.st.validation.verdict(chain, nil, x509.ExtKeyUsageClientAuth)
}
