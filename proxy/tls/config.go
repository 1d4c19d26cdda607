package tls

import (
	"crypto/tls"
	"slices"
	"strings"
	"time"

	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/secret"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/xds/protos"
)

// The types of the two contexts.
const (
	DownstreamTypeURL = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
	UpstreamTypeURL   = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
)

// Options are what a context is made with.
type Options struct {
	Stats   *stats.Store
	Prefix  string // "listener.0.0.0.0_443.", "cluster.name."
	Secrets secret.Provider
	Scope   secret.Scope
	Certs   *Inventory // may be nil
}

// common compiles the part that both contexts have. The secrets' complete is
// still to be set, and build called.
func common(p field.Path, c *tlsv3.CommonTlsContext, most uint16, o Options) (*tls.Config, *secrets, error) {
	p = p.Dot("common_tls_context")
	if err := field.Only(p, c, "tls_params", "tls_certificates", "tls_certificate_sds_secret_configs", "validation_context",
		"validation_context_sds_secret_config", "combined_validation_context", "alpn_protocols", "key_log"); err != nil {
		return nil, nil, err
	}
	config := &tls.Config{NextProtos: c.GetAlpnProtocols(), DynamicRecordSizingDisabled: true}
	for i, name := range c.GetAlpnProtocols() {
		if name == "" || len(name) > 255 {
			return nil, nil, p.Dot("alpn_protocols").Index(i).Errorf("Invalid ALPN protocol string")
		}
	}
	if err := parameters(p.Dot("tls_params"), c.GetTlsParams(), config, most); err != nil {
		return nil, nil, err
	}
	if err := keyLog(p.Dot("key_log"), c.GetKeyLog(), config, o); err != nil {
		return nil, nil, err
	}
	s := &secrets{}
	if err := s.addCertificates(p, c, o); err != nil {
		return nil, nil, err
	}
	return config, s, s.addValidation(p, c, o)
}

var versions = [...]uint16{tlsv3.TlsParameters_TLSv1_0: tls.VersionTLS10, tlsv3.TlsParameters_TLSv1_1: tls.VersionTLS11,
	tlsv3.TlsParameters_TLSv1_2: tls.VersionTLS12, tlsv3.TlsParameters_TLSv1_3: tls.VersionTLS13}

// parameters sets versions, ciphers and key exchanges. most is the highest
// version when none is configured.
func parameters(p field.Path, t *tlsv3.TlsParameters, c *tls.Config, most uint16) error {
	if err := field.Only(p, t, "tls_minimum_protocol_version", "tls_maximum_protocol_version", "cipher_suites", "ecdh_curves"); err != nil {
		return err
	}
	c.MinVersion, c.MaxVersion = tls.VersionTLS12, most
	if v := versions[t.GetTlsMinimumProtocolVersion()]; v != 0 {
		c.MinVersion = v
	}
	if v := versions[t.GetTlsMaximumProtocolVersion()]; v != 0 {
		c.MaxVersion = v
	}
	c.CipherSuites, c.CurvePreferences = defaultCiphers, defaultCurves
	var err error
	if names := t.GetCipherSuites(); len(names) > 0 {
		if c.CipherSuites, err = cipherSuites(p.Dot("cipher_suites"), names); err != nil {
			return err
		}
	}
	if names := t.GetEcdhCurves(); len(names) > 0 {
		c.CurvePreferences = nil
		for i, list := range names {
			for name := range strings.SplitSeq(list, ":") {
				id, ok := curveNames[name]
				if !ok {
					return p.Dot("ecdh_curves").Index(i).Errorf("Failed to initialize ECDH curves %s", name)
				}
				c.CurvePreferences = append(c.CurvePreferences, id)
			}
		}
	}
	return nil
}

// cipherSuites reads OpenSSL's names, of which several may stand in one
// string ("A:B") and be of equal preference ("[A|B]"). The order of preference
// is crypto/tls's own.
func cipherSuites(p field.Path, names []string) (out []uint16, err error) {
	for i, list := range names {
		for name := range strings.FieldsFuncSeq(list, func(r rune) bool { return strings.ContainsRune(":[]|", r) }) {
			id, ok := cipherNames[name]
			if !ok {
				return nil, p.Index(i).Errorf("Failed to initialize cipher suites: %s is not one that weir has", name)
			}
			if !slices.Contains(out, id) {
				out = append(out, id)
			}
		}
	}
	return out, nil
}

// NewServer compiles a DownstreamTlsContext.
func NewServer(p field.Path, config *anypb.Any, o Options) (*Server, error) {
	c := &tlsv3.DownstreamTlsContext{}
	if err := protos.Unpack(p, config, c); err != nil {
		return nil, err
	}
	// There is no session cache that disable_stateful_session_resumption
	// could turn off.
	if err := field.Only(p, c, "common_tls_context", "require_client_certificate", "session_ticket_keys", "session_ticket_keys_sds_secret_config",
		"disable_stateless_session_resumption", "disable_stateful_session_resumption", "session_timeout", "ocsp_staple_policy",
		"full_scan_certs_on_sni_mismatch"); err != nil {
		return nil, err
	}
	base, s, err := common(p, c.GetCommonTlsContext(), tls.VersionTLS13, o)
	if err != nil {
		return nil, err
	}
	if len(s.certs) == 0 {
		return nil, p.Errorf("No TLS certificates found for server context")
	}
	x := &Server{group: stats.NewGroup[Stats](o.Stats, stats.Scope{Prefix: o.Prefix + "ssl."}),
		events: stats.NewGroup[serverEvents](o.Stats, stats.Scope{Prefix: o.Prefix + "server_ssl_socket_factory."})}
	o.Scope.OnClose(x.group.Close)
	o.Scope.OnClose(x.events.Close)
	if c.GetRequireClientCertificate().GetValue() {
		base.ClientAuth = tls.RequireAnyClientCert
	}
	switch k := c.GetSessionTicketKeysType().(type) {
	case *tlsv3.DownstreamTlsContext_SessionTicketKeys:
		s.tickets, err = compileTicketKeys(p.Dot("session_ticket_keys"), k.SessionTicketKeys)
	case *tlsv3.DownstreamTlsContext_SessionTicketKeysSdsSecretConfig:
		err = s.addTicketKeys(p.Dot("session_ticket_keys_sds_secret_config"), k.SessionTicketKeysSdsSecretConfig, o)
	case *tlsv3.DownstreamTlsContext_DisableStatelessSessionResumption:
		base.SessionTicketsDisabled = k.DisableStatelessSessionResumption
	}
	if err != nil {
		return nil, err
	}
	policy, fullScan := staplePolicy(c.GetOcspStaplePolicy()), c.GetFullScanCertsOnSniMismatch().GetValue()
	entry, expiry := o.Certs.add(o.Scope), newExpiryGauges(o)
	s.update = func() { x.events.For(0).UpdateBySDS.Inc() }
	s.complete = func() error {
		for _, cert := range s.certs {
			if policy == mustStaple && len(cert.OCSPStaple) == 0 {
				return p.Dot("ocsp_staple_policy").Errorf("Required OCSP response is missing from TLS context")
			}
		}
		st := newServerState(base, newCertificates(slices.Clone(s.certs), fullScan, policy), s.validation, c.GetSessionTimeout().AsDuration().Truncate(time.Second))
		if len(s.tickets) > 0 {
			st.config.SetSessionTicketKeys(s.tickets)
		}
		x.state.Store(st)
		entry.set(s)
		expiry.set(s)
		return nil
	}
	return x, s.build()
}

// NewClient compiles an UpstreamTlsContext.
func NewClient(p field.Path, config *anypb.Any, o Options) (*Client, error) {
	c := &tlsv3.UpstreamTlsContext{}
	if err := protos.Unpack(p, config, c); err != nil {
		return nil, err
	}
	if err := field.Only(p, c, "common_tls_context", "sni", "auto_host_sni", "auto_sni_san_validation", "max_session_keys", "enforce_rsa_key_usage"); err != nil {
		return nil, err
	}
	if len(c.GetSni()) > 255 {
		return nil, p.Dot("sni").Errorf("SNI names longer than 255 bytes are not supported")
	}
	base, s, err := common(p, c.GetCommonTlsContext(), tls.VersionTLS12, o)
	if err != nil {
		return nil, err
	}
	if len(s.certs) > 1 {
		return nil, p.Dot("common_tls_context").Errorf("Multiple TLS certificates are not supported for client contexts")
	}
	x := &Client{sni: c.GetSni(), autoHostSNI: c.GetAutoHostSni(), autoSANs: c.GetAutoSniSanValidation(),
		group:  stats.NewGroup[Stats](o.Stats, stats.Scope{Prefix: o.Prefix + "ssl."}),
		events: stats.NewGroup[clientEvents](o.Stats, stats.Scope{Prefix: o.Prefix + "client_ssl_socket_factory."})}
	o.Scope.OnClose(x.group.Close)
	o.Scope.OnClose(x.events.Close)
	sessions := 1
	if n := c.GetMaxSessionKeys(); n != nil {
		sessions = int(n.GetValue())
	}
	entry, expiry := o.Certs.add(o.Scope), newExpiryGauges(o)
	s.update = func() { x.events.For(0).UpdateBySDS.Inc() }
	s.complete = func() error {
		if x.autoSANs && (s.validation == nil || s.validation.roots == nil) {
			return p.Dot("auto_sni_san_validation").Errorf("'auto_sni_san_validation' was configured without a validation context")
		}
		var cert *Certificate
		if len(s.certs) > 0 {
			cert = s.certs[0]
		}
		st := newClientState(base, cert, s.validation)
		if sessions > 0 {
			st.config.ClientSessionCache = tls.NewLRUClientSessionCache(sessions)
		}
		x.state.Store(st)
		entry.set(s)
		expiry.set(s)
		return nil
	}
	return x, s.build()
}
