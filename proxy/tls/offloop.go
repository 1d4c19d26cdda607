package tls

import "crypto/tls"

// Config is the context for a connection that is not on a loop, to a
// management server or a collector: crypto/tls's own, used by a goroutine that
// may block. protocols are offered where the context has no alpn_protocols.
// It is nil while the context's secrets are not there.
func (x *Client) Config(protocols string) *tls.Config {
	st := x.state.Load()
	if st == nil {
		return nil
	}
	k := clientKey{sni: x.sni}
	if x.autoSANs && x.sni != "" {
		k.names, k.checkNames = x.sni, true
	}
	if len(st.config.NextProtos) == 0 {
		k.protocols = protocols
	}
	c := st.derive(k).Clone()
	if st.cert != nil {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &st.cert.Certificate, nil }
	}
	return c
}
