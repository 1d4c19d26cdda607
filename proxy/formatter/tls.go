package formatter

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"strings"
	"time"

	"github.com/weirproxy/weir/internal/x509name"
	"github.com/weirproxy/weir/proxy/network"
)

// TLSSession is what a network.TLSInfo may implement beyond, to show its
// certificates in logs; without it those operators have no value.
type TLSSession interface {
	Group() string                         // key exchange, e.g. "X25519"
	SessionID() string                     // hex
	LocalCertificate() *x509.Certificate   // nil when none was sent
	PeerCertificates() []*x509.Certificate // leaf first
}

// sessionOf picks the downstream or upstream TLS session; nil when plain.
type sessionOf func(*Context) network.TLSInfo

func downstreamTLS(c *Context) network.TLSInfo { return c.Info.DownstreamTLS() }
func upstreamTLS(c *Context) network.TLSInfo   { return c.Info.UpstreamTLS }

// tlsString is an operator for something that a session tells; "" is missing.
func tlsString(of sessionOf, get func(network.TLSInfo) string) command {
	return str(func(c *Context) string {
		s := of(c)
		if s == nil {
			return ""
		}
		return get(s)
	})
}

func tlsVersion(s network.TLSInfo) string  { return s.Version() }
func tlsCipher(s network.TLSInfo) string   { return s.CipherSuite() }
func tlsSubject(s network.TLSInfo) string  { return s.SubjectPeer() }
func tlsPeerURI(s network.TLSInfo) string  { return strings.Join(s.URISANsPeer(), ",") }
func tlsPeerDNS(s network.TLSInfo) string  { return strings.Join(s.DNSSANsPeer(), ",") }
func tlsLocalURI(s network.TLSInfo) string { return strings.Join(s.URISANsLocal(), ",") }
func tlsSHA256(s network.TLSInfo) string   { return s.SHA256Peer() }

func tlsGroup(s network.TLSInfo) string {
	if t, ok := s.(TLSSession); ok {
		return t.Group()
	}
	return ""
}

func tlsSessionID(s network.TLSInfo) string {
	if t, ok := s.(TLSSession); ok {
		return t.SessionID()
	}
	return ""
}

// certificates are the peer's, leaf first, and the local one.
func certificates(of sessionOf, c *Context) (peer []*x509.Certificate, local *x509.Certificate) {
	if t, ok := of(c).(TLSSession); ok {
		return t.PeerCertificates(), t.LocalCertificate()
	}
	return nil, nil
}

func localCert(of sessionOf, get func(*x509.Certificate) string) command {
	return str(func(c *Context) string {
		_, cert := certificates(of, c)
		if cert == nil {
			return ""
		}
		return get(cert)
	})
}

func peerCert(of sessionOf, get func(*x509.Certificate) string) command {
	return peerCertAt(of, 0, get)
}

// peerIssuer is of the certificate that signed the peer's.
func peerIssuer(of sessionOf, get func(*x509.Certificate) string) command {
	return peerCertAt(of, 1, get)
}

func peerCertAt(of sessionOf, i int, get func(*x509.Certificate) string) command {
	return str(func(c *Context) string {
		chain, _ := certificates(of, c)
		if i >= len(chain) {
			return ""
		}
		return get(chain[i])
	})
}

// peerChain is of all the peer's certificates, comma-separated.
func peerChain(of sessionOf, get func(*x509.Certificate) string) command {
	return str(func(c *Context) string {
		chain, _ := certificates(of, c)
		var out []string
		for _, cert := range chain {
			out = append(out, get(cert))
		}
		return strings.Join(out, ",")
	})
}

func certNotBefore(of sessionOf) func(*Context) time.Time {
	return func(c *Context) time.Time {
		if chain, _ := certificates(of, c); len(chain) > 0 {
			return chain[0].NotBefore
		}
		return time.Time{}
	}
}

func certNotAfter(of sessionOf) func(*Context) time.Time {
	return func(c *Context) time.Time {
		if chain, _ := certificates(of, c); len(chain) > 0 {
			return chain[0].NotAfter
		}
		return time.Time{}
	}
}

func certSubject(c *x509.Certificate) string { return x509name.String(c.RawSubject) }
func certIssuer(c *x509.Certificate) string  { return x509name.String(c.RawIssuer) }

func certDNS(c *x509.Certificate) string    { return strings.Join(c.DNSNames, ",") }
func certEmails(c *x509.Certificate) string { return strings.Join(c.EmailAddresses, ",") }

func certOtherNames(c *x509.Certificate) string {
	return strings.Join(x509name.OtherNames(c, nil), ",")
}

func certIPs(c *x509.Certificate) string {
	var out []string
	for _, ip := range c.IPAddresses {
		out = append(out, ip.String())
	}
	return strings.Join(out, ",")
}

func certSHA256(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

func certSHA1(c *x509.Certificate) string {
	sum := sha1.Sum(c.Raw)
	return hex.EncodeToString(sum[:])
}

func certSerial(c *x509.Certificate) string { return hex.EncodeToString(c.SerialNumber.Bytes()) }

// URLEncodedPEM is the certificate in PEM, URL-encoded.
func URLEncodedPEM(c *x509.Certificate) string {
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	return strings.NewReplacer("\n", "%0A", " ", "%20", "+", "%2B", "/", "%2F", "=", "%3D").Replace(string(block))
}
