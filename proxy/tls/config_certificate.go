package tls

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"

	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"golang.org/x/crypto/ocsp"

	"github.com/weirproxy/weir/internal/field"
)

// compileCertificate reads a chain and its key.
func compileCertificate(p field.Path, c *tlsv3.TlsCertificate) (*Certificate, error) {
	if err := field.Only(p, c, "certificate_chain", "private_key", "watched_directory", "ocsp_staple"); err != nil {
		return nil, err
	}
	chain, from, err := readSource(p.Dot("certificate_chain"), c.GetCertificateChain())
	if err != nil {
		return nil, err
	}
	key, _, err := readSource(p.Dot("private_key"), c.GetPrivateKey())
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, p.Errorf("the certificate chain from %s and its private key: %w", from, err)
	}
	out := newCertificate(pair, from)
	out.mustStaple = requiresStaple(out.Leaf)
	return out, out.addStaple(p.Dot("ocsp_staple"), c)
}

// addStaple reads the certificate's OCSP response.
func (c *Certificate) addStaple(p field.Path, config *tlsv3.TlsCertificate) error {
	if config.GetOcspStaple() == nil {
		return nil
	}
	der, _, err := readSource(p, config.GetOcspStaple())
	if err != nil {
		return err
	}
	var issuer *x509.Certificate
	if len(c.Certificate.Certificate) > 1 {
		if issuer, err = x509.ParseCertificate(c.Certificate.Certificate[1]); err != nil {
			return p.Wrap(err)
		}
	}
	r, err := ocsp.ParseResponse(der, issuer)
	if err != nil {
		return p.Wrap(err)
	}
	if r.SerialNumber.Cmp(c.Leaf.SerialNumber) != 0 {
		return p.Errorf("OCSP response does not match its TLS certificate")
	}
	c.OCSPStaple, c.stapleEnd = der, r.NextUpdate
	return nil
}

// ticketKeySize is what Envoy asks of a ticket key: a name and two keys.
const ticketKeySize = 80

// compileTicketKeys reads session ticket keys. crypto/tls takes 32 bytes, so
// the keys are hashed.
func compileTicketKeys(p field.Path, k *tlsv3.TlsSessionTicketKeys) (out [][32]byte, err error) {
	for i, d := range k.GetKeys() {
		p := p.Dot("keys").Index(i)
		data, _, err := readSource(p, d)
		if err != nil {
			return nil, err
		}
		if len(data) != ticketKeySize {
			return nil, p.Errorf("Incorrect TLS session ticket key length. Length %d, expected length %d.", len(data), ticketKeySize)
		}
		out = append(out, sha256.Sum256(data))
	}
	return out, nil
}
