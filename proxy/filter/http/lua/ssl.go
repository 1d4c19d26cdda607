package lua

import (
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"github.com/weirproxy/weir/internal/x509name"
	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/network"
)

type (
	// ssl is a connection's TLS session.
	ssl struct {
		*side
		tls network.TLSInfo
	}
	// subject is a certificate's, in parts.
	subject struct {
		*side
		cert *x509.Certificate
	}
)

var sslMethods = map[string]lua.LGFunction{
	"peerCertificatePresented": func(l *lua.LState) int { return push(l, lua.LBool(self[*ssl](l).tls.PeerCertificatePresented())) },
	"peerCertificateValidated": func(l *lua.LState) int {
		t, ok := self[*ssl](l).tls.(interface{ PeerCertificateValidated() bool })
		return push(l, lua.LBool(ok && t.PeerCertificateValidated()))
	},
	"tlsVersion":        sslText(func(s *ssl) string { return s.tls.Version() }),
	"ciphersuiteString": sslText(func(s *ssl) string { return s.tls.CipherSuite() }),
	"ciphersuiteId": sslText(func(s *ssl) string {
		t, ok := s.tls.(interface{ CipherSuiteID() uint16 })
		if !ok {
			return ""
		}
		return fmt.Sprintf("0x%04x", t.CipherSuiteID())
	}),
	"sessionId": sslText(func(s *ssl) string {
		t, ok := s.tls.(formatter.TLSSession)
		if !ok {
			return ""
		}
		return t.SessionID()
	}),

	"uriSanPeerCertificate":       sslList(func(s *ssl) []string { return s.tls.URISANsPeer() }),
	"uriSanLocalCertificate":      sslList(func(s *ssl) []string { return s.tls.URISANsLocal() }),
	"dnsSansPeerCertificate":      sslList(func(s *ssl) []string { return s.tls.DNSSANsPeer() }),
	"dnsSansLocalCertificate":     sslList(func(s *ssl) []string { return dnsNames(s.local()) }),
	"oidsPeerCertificate":         sslList(func(s *ssl) []string { return oids(s.peer()) }),
	"oidsLocalCertificate":        sslList(func(s *ssl) []string { return oids(s.local()) }),
	"subjectPeerCertificate":      sslText(func(s *ssl) string { return s.tls.SubjectPeer() }),
	"sha256PeerCertificateDigest": sslText(func(s *ssl) string { return s.tls.SHA256Peer() }),

	"subjectLocalCertificate": sslText(func(s *ssl) string { return ofCertificate(s.local(), subjectOf) }),
	"issuerPeerCertificate":   sslText(func(s *ssl) string { return ofCertificate(s.peer(), issuerOf) }),
	"serialNumberPeerCertificate": sslText(func(s *ssl) string {
		return ofCertificate(s.peer(), func(c *x509.Certificate) string { return hex.EncodeToString(c.SerialNumber.Bytes()) })
	}),
	"urlEncodedPemEncodedPeerCertificate": sslText(func(s *ssl) string { return ofCertificate(s.peer(), formatter.URLEncodedPEM) }),
	"urlEncodedPemEncodedPeerCertificateChain": sslText(func(s *ssl) string {
		var all strings.Builder
		for _, c := range s.peers() {
			all.WriteString(formatter.URLEncodedPEM(c))
		}
		return all.String()
	}),
	"validFromPeerCertificate":  sslTime(func(c *x509.Certificate) int64 { return c.NotBefore.Unix() }),
	"expirationPeerCertificate": sslTime(func(c *x509.Certificate) int64 { return c.NotAfter.Unix() }),
	"parsedSubjectPeerCertificate": func(l *lua.LState) int {
		s := self[*ssl](l)
		c := s.peer()
		if c == nil {
			return push(l, lua.LNil)
		}
		return push(l, s.v.wrap(l, subjectType, &subject{s.side, c}))
	},
}

var subjectMethods = map[string]lua.LGFunction{
	"commonName":       func(l *lua.LState) int { return push(l, lua.LString(self[*subject](l).cert.Subject.CommonName)) },
	"organizationName": func(l *lua.LState) int { return push(l, stringList(l, self[*subject](l).cert.Subject.Organization)) },
}

func sslText(get func(*ssl) string) lua.LGFunction {
	return func(l *lua.LState) int { return push(l, lua.LString(get(self[*ssl](l)))) }
}

func sslList(get func(*ssl) []string) lua.LGFunction {
	return func(l *lua.LState) int { return push(l, stringList(l, get(self[*ssl](l)))) }
}

// sslTime is a time of the peer's certificate, in seconds since 1970; 0
// without one.
func sslTime(get func(*x509.Certificate) int64) lua.LGFunction {
	return func(l *lua.LState) int {
		c := self[*ssl](l).peer()
		if c == nil {
			return push(l, lua.LNumber(0))
		}
		return push(l, lua.LNumber(get(c)))
	}
}

func stringList(l *lua.LState, list []string) lua.LValue {
	t := l.NewTable()
	for _, s := range list {
		t.Append(lua.LString(s))
	}
	return t
}

func (s *ssl) peers() []*x509.Certificate {
	if t, ok := s.tls.(formatter.TLSSession); ok {
		return t.PeerCertificates()
	}
	return nil
}

func (s *ssl) peer() *x509.Certificate {
	if all := s.peers(); len(all) > 0 {
		return all[0]
	}
	return nil
}

func (s *ssl) local() *x509.Certificate {
	if t, ok := s.tls.(formatter.TLSSession); ok {
		return t.LocalCertificate()
	}
	return nil
}

// ofCertificate is empty without a certificate.
func ofCertificate(c *x509.Certificate, get func(*x509.Certificate) string) string {
	if c == nil {
		return ""
	}
	return get(c)
}

func subjectOf(c *x509.Certificate) string { return x509name.String(c.RawSubject) }
func issuerOf(c *x509.Certificate) string  { return x509name.String(c.RawIssuer) }

func dnsNames(c *x509.Certificate) []string {
	if c == nil {
		return nil
	}
	return c.DNSNames
}

// oids are the certificate's extensions.
func oids(c *x509.Certificate) (out []string) {
	if c != nil {
		for _, e := range c.Extensions {
			out = append(out, e.Id.String())
		}
	}
	return out
}
