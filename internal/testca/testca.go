// Package testca makes certificates for tests: authorities, and what they
// sign, as PEM.
package testca

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Pair is a certificate with its key.
type Pair struct {
	t    testing.TB
	Cert *x509.Certificate
	Key  crypto.Signer
	up   *Pair // who signed it; nil: itself
}

// New makes a root authority.
func New(t testing.TB, name string) *Pair {
	t.Helper()
	return issue(t, nil, &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign})
}

// Option changes a certificate before it is signed.
type Option func(*x509.Certificate)

// DNS adds host names.
func DNS(names ...string) Option { return func(c *x509.Certificate) { c.DNSNames = names } }

// URI adds a URI.
func URI(s string) Option {
	return func(c *x509.Certificate) {
		u, err := url.Parse(s)
		if err != nil {
			panic(err)
		}
		c.URIs = append(c.URIs, u)
	}
}

// IP adds an address.
func IP(s string) Option {
	return func(c *x509.Certificate) { c.IPAddresses = append(c.IPAddresses, net.ParseIP(s)) }
}

// Email adds an e-mail address.
func Email(s string) Option {
	return func(c *x509.Certificate) { c.EmailAddresses = append(c.EmailAddresses, s) }
}

// Subject sets the subject.
func Subject(n pkix.Name) Option { return func(c *x509.Certificate) { c.Subject = n } }

// Expired makes the certificate one that ended yesterday.
func Expired(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
}

// CA makes it an intermediate authority.
func CA(c *x509.Certificate) {
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage, c.ExtKeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign, nil
}

// RSA gives the certificate an RSA key.
func RSA(c *x509.Certificate) { c.PublicKeyAlgorithm = x509.RSA }

// NoSigning makes it one whose key must not sign (RFC 5280 section 4.2.1.3),
// so that it is no good for TLS.
func NoSigning(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }

// P384 gives the certificate a key on that curve.
func P384(c *x509.Certificate) { c.PublicKey = elliptic.P384() }

// Issue signs a certificate that is good for servers and clients.
func (ca *Pair) Issue(name string, options ...Option) *Pair {
	ca.t.Helper()
	c := &x509.Certificate{Subject: pkix.Name{CommonName: name}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	for _, o := range options {
		o(c)
	}
	return issue(ca.t, ca, c)
}

func newKey(template *x509.Certificate) (crypto.Signer, error) {
	if template.PublicKeyAlgorithm == x509.RSA {
		return rsa.GenerateKey(rand.Reader, 2048)
	}
	curve := elliptic.P256()
	if c, ok := template.PublicKey.(elliptic.Curve); ok {
		curve = c
	}
	return ecdsa.GenerateKey(curve, rand.Reader)
}

func issue(t testing.TB, ca *Pair, template *x509.Certificate) *Pair {
	t.Helper()
	key, err := newKey(template)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber, _ = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	}
	parent, signer := template, key
	if ca != nil {
		parent, signer = ca.Cert, ca.Key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &Pair{t: t, Cert: cert, Key: key, up: ca}
}

// PEM is the certificate alone.
func (p *Pair) PEM() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Cert.Raw}))
}

// ChainPEM is the certificate and the intermediates above it.
func (p *Pair) ChainPEM() string {
	out := p.PEM()
	for up := p.up; up != nil && up.up != nil; up = up.up {
		out += up.PEM()
	}
	return out
}

// KeyPEM is the key, as PKCS #8.
func (p *Pair) KeyPEM() string {
	der, err := x509.MarshalPKCS8PrivateKey(p.Key)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// CRL is a revocation list of the authority.
func (p *Pair) CRL(revoked ...*Pair) string {
	p.t.Helper()
	l := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(time.Hour)}
	for _, r := range revoked {
		l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: r.Cert.SerialNumber, RevocationTime: time.Now()})
	}
	der, err := x509.CreateRevocationList(rand.Reader, l, p.Cert, p.Key)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))
}

// TLS is the pair for crypto/tls.
func (p *Pair) TLS() tls.Certificate {
	c, err := tls.X509KeyPair([]byte(p.ChainPEM()), []byte(p.KeyPEM()))
	if err != nil {
		p.t.Fatal(err)
	}
	return c
}

// Pool has the certificate as an anchor.
func (p *Pair) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(p.Cert)
	return pool
}

// Write writes name.pem, the chain, and name.key into dir.
func (p *Pair) Write(dir, name string) {
	p.t.Helper()
	for file, text := range map[string]string{name + ".pem": p.ChainPEM(), name + ".key": p.KeyPEM()} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			p.t.Fatal(err)
		}
	}
}

// Equal tells whether c is the pair's certificate.
func (p *Pair) Equal(c *x509.Certificate) bool { return bytes.Equal(p.Cert.Raw, c.Raw) }
