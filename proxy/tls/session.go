package tls

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"

	"github.com/weirproxy/weir/internal/x509name"
	"github.com/weirproxy/weir/proxy/network"
)

// session is what logs and headers show of a socket whose handshake is done.
type session struct {
	version, cipher uint16
	group           tls.CurveID
	serverName      string
	peers           []*x509.Certificate
	local           *x509.Certificate // the one that was sent, nil when none was
	valid           verdict
}

// Version implements network.TLSInfo.
func (s *session) Version() string { return versionName(s.version) }

// CipherSuite implements network.TLSInfo.
func (s *session) CipherSuite() string {
	if s.cipher == 0 {
		return "" // the handshake did not come so far
	}
	return cipherName(s.cipher)
}

// CipherSuiteID is the suite's IANA number.
func (s *session) CipherSuiteID() uint16 { return s.cipher }

// SNI implements network.TLSInfo.
func (s *session) SNI() string { return s.serverName }

// PeerCertificatePresented implements network.TLSInfo.
func (s *session) PeerCertificatePresented() bool { return len(s.peers) > 0 }

// PeerCertificateValidated implements network.TLSInfo.
func (s *session) PeerCertificateValidated() bool { return s.valid == validated }

// SubjectPeer implements network.TLSInfo.
func (s *session) SubjectPeer() string {
	if c := s.peer(); c != nil {
		return x509name.String(c.RawSubject)
	}
	return ""
}

// URISANsPeer implements network.TLSInfo.
func (s *session) URISANsPeer() []string { return uriSANs(s.peer()) }

// DNSSANsPeer implements network.TLSInfo.
func (s *session) DNSSANsPeer() []string {
	if c := s.peer(); c != nil {
		return c.DNSNames
	}
	return nil
}

// URISANsLocal implements network.TLSInfo.
func (s *session) URISANsLocal() []string { return uriSANs(s.local) }

// SHA256Peer implements network.TLSInfo.
func (s *session) SHA256Peer() string {
	c := s.peer()
	if c == nil {
		return ""
	}
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// Group is the key exchange's name.
func (s *session) Group() string { return curveName(s.group) }

// SessionID is empty: crypto/tls does not tell it.
func (s *session) SessionID() string { return "" }

// LocalCertificate is the one that was sent, nil when none was.
func (s *session) LocalCertificate() *x509.Certificate { return s.local }

// PeerCertificates are the peer's, leaf first.
func (s *session) PeerCertificates() []*x509.Certificate { return s.peers }

func (s *session) peer() *x509.Certificate {
	if len(s.peers) == 0 {
		return nil
	}
	return s.peers[0]
}

func uriSANs(c *x509.Certificate) (out []string) {
	if c != nil {
		for _, u := range c.URIs {
			out = append(out, u.String())
		}
	}
	return out
}

var _ network.TLSInfo = (*session)(nil)
