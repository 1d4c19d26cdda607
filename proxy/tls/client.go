package tls

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
)

// Client is a compiled UpstreamTlsContext. Main changes its state, workers
// read it.
type Client struct {
	state       atomic.Pointer[clientState] // nil until its secrets are there
	group       *stats.Group[Stats]
	events      *stats.Group[clientEvents]
	sni         string
	autoHostSNI bool // the endpoint's hostname, when it has one
	autoSANs    bool // the certificate must be for the SNI sent
}

// clientEvents are a cluster's, under "client_ssl_socket_factory.".
type clientEvents struct {
	SecretsNotReady   stats.Counter `stat:"upstream_context_secrets_not_ready"`
	UpdateBySDS       stats.Counter `stat:"ssl_context_update_by_sds"`
	DownstreamUnready stats.Counter `stat:"downstream_context_secrets_not_ready"`
}

// clientState is a context with its secrets. But for the configurations that
// it derives it is immutable.
type clientState struct {
	config     *tls.Config
	cert       *Certificate // nil: there is none to show
	validation *Validation  // nil: the server's certificate is not checked

	mu      sync.Mutex // workers derive configurations when they connect
	derived map[clientKey]*tls.Config
}

// clientKey is what differs between the connections of a cluster. Lists are
// joined by commas.
type clientKey struct {
	sni, protocols, names string
	checkNames            bool // instead of the configured matchers
}

// maxDerived bounds how many configurations a state keeps; a request may name
// the SNI.
const maxDerived = 1024

// ClientOptions are what one connection asks for beyond its context. Lists
// are joined by commas.
type ClientOptions struct {
	ServerName string // replaces the context's SNI; "" does not
	Hostname   string // the endpoint's
	SANs       string // what the certificate must be for, one of them
	Protocols  string // replaces the context's alpn_protocols
	Fallback   string // is sent when the context has no alpn_protocols
}

func newClientState(base *tls.Config, cert *Certificate, v *Validation) *clientState {
	st := &clientState{config: base.Clone(), cert: cert, validation: v}
	c := st.config
	// The chain is checked by check, which knows all that Envoy does.
	c.InsecureSkipVerify = true
	if cert != nil {
		c.GetClientCertificate = func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return cert.forHandshake(socketOf(r.Context())), nil
		}
	}
	return st
}

// Socket makes the transport socket of a connection that loop l starts.
func (x *Client) Socket(l *network.Loop, o ClientOptions) network.TransportSocket {
	st := x.state.Load()
	if st == nil {
		x.events.For(l.Worker).SecretsNotReady.Inc()
		return notReady{}
	}
	sni := x.sni
	if x.autoHostSNI && o.Hostname != "" {
		sni = o.Hostname
	}
	if o.ServerName != "" {
		sni = o.ServerName
	}
	k := clientKey{sni: sni, protocols: o.Protocols, names: o.SANs}
	if x.autoSANs && sni != "" {
		k.names, k.checkNames = sni, true
	}
	if k.protocols == "" && len(st.config.NextProtos) == 0 {
		k.protocols = o.Fallback
	}
	return &socket{end: &clientEnd{st: st, n: x.group.For(l.Worker), config: st.derive(k), names: split(k.names)}}
}

// derive is the state's configuration with these differences, made once.
func (st *clientState) derive(k clientKey) *tls.Config {
	st.mu.Lock()
	defer st.mu.Unlock()
	if c := st.derived[k]; c != nil {
		return c
	}
	c := st.config.Clone()
	c.ServerName = k.sni
	if k.protocols != "" {
		c.NextProtos = split(k.protocols)
	}
	v := st.validation
	if k.checkNames && v != nil {
		v = v.withoutMatchers()
	}
	names := split(k.names)
	c.VerifyConnection = func(cs tls.ConnectionState) error {
		err := mayAgree(cs)
		if err == nil && v != nil {
			_, err = v.check(cs.PeerCertificates, names, x509.ExtKeyUsageServerAuth)
		}
		return err
	}
	if st.derived == nil || len(st.derived) >= maxDerived {
		st.derived = map[clientKey]*tls.Config{}
	}
	st.derived[k] = c
	return c
}

func split(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}

// clientEnd is the client's side of a connection.
type clientEnd struct {
	st     *clientState
	config *tls.Config
	n      *Stats
	names  []string
}

func (e *clientEnd) start(w net.Conn) *tls.Conn { return tls.Client(w, e.config) }
func (e *clientEnd) speaksFirst() bool          { return true }
func (e *clientEnd) stats() *Stats              { return e.n }

func (e *clientEnd) verdict(chain []*x509.Certificate) verdict {
	return e.st.validation.verdict(chain, e.names, x509.ExtKeyUsageServerAuth)
}
