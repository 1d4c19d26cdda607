package tls

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"io"
	"strings"
	"time"
)

// Certificate is a chain with its key. It is immutable.
type Certificate struct {
	tls.Certificate
	slow       crypto.Signer // set where signing takes so long that it is done off the loop
	mustStaple bool
	stapleEnd  time.Time // when the OCSP response expires; zero: there is none
	path       string    // where it came from, for /certs
	name       string    // of its secret, "" when it has none
}

// newCertificate wraps a parsed chain.
func newCertificate(c tls.Certificate, path string) *Certificate {
	out := &Certificate{Certificate: c, path: path}
	switch k := c.PrivateKey.(type) {
	case *ecdsa.PrivateKey:
		if k.Curve != elliptic.P256() {
			out.slow = k
		}
	case ed25519.PrivateKey:
	case crypto.Signer:
		out.slow = k
	}
	return out
}

// names are the host names that the certificate is for: its DNS names, else
// its common name. "*.example.com" is ".example.com".
func (c *Certificate) names() (out []string) {
	names := c.Leaf.DNSNames
	if len(names) == 0 && c.Leaf.Subject.CommonName != "" {
		names = []string{c.Leaf.Subject.CommonName}
	}
	for _, n := range names {
		if rest, ok := strings.CutPrefix(n, "*."); ok && rest != "" && !strings.Contains(rest, "*") {
			n = "." + rest
		}
		out = append(out, n)
	}
	return out
}

// keyType tells certificates apart that may stand side by side for one name.
type keyType uint8

const (
	rsaKey keyType = iota
	p256Key
	p384Key
	p521Key
	ed25519Key
)

func (c *Certificate) keyType() keyType {
	switch k := c.Leaf.PublicKey.(type) {
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P384():
			return p384Key
		case elliptic.P521():
			return p521Key
		}
		return p256Key
	case ed25519.PublicKey:
		return ed25519Key
	}
	return rsaKey
}

// forHandshake is the certificate for crypto/tls in the handshake of ctx.
func (c *Certificate) forHandshake(s *socket) *tls.Certificate {
	if s == nil {
		return &c.Certificate // the library that asks may wait
	}
	s.local = c.Leaf
	if c.slow == nil {
		return &c.Certificate
	}
	out := c.Certificate
	out.PrivateKey = offloaded{c.slow, s}
	return &out
}

// offloaded is a key whose signatures are made off the loop.
type offloaded struct {
	crypto.Signer
	s *socket
}

// Sign implements crypto.Signer. When the connection ends meanwhile the work
// goes on, and what it writes then is nobody's.
func (o offloaded) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	var sig []byte
	var err error
	if stopped := o.s.elsewhere(func() { sig, err = o.Signer.Sign(rand, digest, opts) }); stopped != nil {
		return nil, stopped
	}
	return sig, err
}

// oidMustStaple is the TLS feature extension (RFC 7633).
const oidMustStaple = "1.3.6.1.5.5.7.1.24"

func requiresStaple(c *x509.Certificate) bool {
	for _, e := range c.Extensions {
		if e.Id.String() == oidMustStaple {
			return true
		}
	}
	return false
}
