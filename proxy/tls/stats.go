package tls

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"errors"

	"github.com/weirproxy/weir/proxy/stats"
)

// Stats are a listener's or a cluster's, under "ssl.".
type Stats struct {
	ConnectionError     stats.Counter `stat:"connection_error"`
	Handshake           stats.Counter `stat:"handshake"`
	SessionReused       stats.Counter `stat:"session_reused"`
	NoCertificate       stats.Counter `stat:"no_certificate"`
	FailVerifyNoCert    stats.Counter `stat:"fail_verify_no_cert"`
	FailVerifyError     stats.Counter `stat:"fail_verify_error"`
	FailVerifySAN       stats.Counter `stat:"fail_verify_san"`
	FailVerifyCertHash  stats.Counter `stat:"fail_verify_cert_hash"`
	OCSPStapleFailed    stats.Counter `stat:"ocsp_staple_failed"`
	OCSPStapleOmitted   stats.Counter `stat:"ocsp_staple_omitted"`
	OCSPStapleResponses stats.Counter `stat:"ocsp_staple_responses"`
	OCSPStapleRequests  stats.Counter `stat:"ocsp_staple_requests"`
	Versions            versionStats  `stat:"versions.,omitempty"`
	Ciphers             cipherStats   `stat:"ciphers.,omitempty"`
	Curves              curveStats    `stat:"curves.,omitempty"`
	SignatureAlgorithms sigalgStats   `stat:"sigalgs.,omitempty"`
}

type versionStats struct {
	TLS10 stats.Counter `stat:"TLSv1"`
	TLS11 stats.Counter `stat:"TLSv1.1"`
	TLS12 stats.Counter `stat:"TLSv1.2"`
	TLS13 stats.Counter `stat:"TLSv1.3"`
}

type cipherStats struct {
	AES128GCM         stats.Counter `stat:"TLS_AES_128_GCM_SHA256"`
	AES256GCM         stats.Counter `stat:"TLS_AES_256_GCM_SHA384"`
	Chacha            stats.Counter `stat:"TLS_CHACHA20_POLY1305_SHA256"`
	ECDSAAES128GCM    stats.Counter `stat:"ECDHE-ECDSA-AES128-GCM-SHA256"`
	ECDSAAES256GCM    stats.Counter `stat:"ECDHE-ECDSA-AES256-GCM-SHA384"`
	ECDSAChacha       stats.Counter `stat:"ECDHE-ECDSA-CHACHA20-POLY1305"`
	ECDSAAES128CBC    stats.Counter `stat:"ECDHE-ECDSA-AES128-SHA"`
	ECDSAAES256CBC    stats.Counter `stat:"ECDHE-ECDSA-AES256-SHA"`
	ECDHERSAAES128GCM stats.Counter `stat:"ECDHE-RSA-AES128-GCM-SHA256"`
	ECDHERSAAES256GCM stats.Counter `stat:"ECDHE-RSA-AES256-GCM-SHA384"`
	ECDHERSAChacha    stats.Counter `stat:"ECDHE-RSA-CHACHA20-POLY1305"`
	ECDHERSAAES128CBC stats.Counter `stat:"ECDHE-RSA-AES128-SHA"`
	ECDHERSAAES256CBC stats.Counter `stat:"ECDHE-RSA-AES256-SHA"`
	RSAAES128GCM      stats.Counter `stat:"AES128-GCM-SHA256"`
	RSAAES256GCM      stats.Counter `stat:"AES256-GCM-SHA384"`
	RSAAES128CBC      stats.Counter `stat:"AES128-SHA"`
	RSAAES256CBC      stats.Counter `stat:"AES256-SHA"`
}

type curveStats struct {
	X25519         stats.Counter `stat:"X25519"`
	X25519MLKEM768 stats.Counter `stat:"X25519MLKEM768"`
	P256           stats.Counter `stat:"P-256"`
	P384           stats.Counter `stat:"P-384"`
	P521           stats.Counter `stat:"P-521"`
}

type sigalgStats struct {
	ECDSAP256    stats.Counter `stat:"ecdsa_secp256r1_sha256"`
	ECDSAP384    stats.Counter `stat:"ecdsa_secp384r1_sha384"`
	ECDSAP521    stats.Counter `stat:"ecdsa_secp521r1_sha512"`
	Ed25519      stats.Counter `stat:"ed25519"`
	RSAPSSSHA256 stats.Counter `stat:"rsa_pss_rsae_sha256"`
}

func (v *versionStats) of(id uint16) *stats.Counter {
	switch id {
	case tls.VersionTLS13:
		return &v.TLS13
	case tls.VersionTLS12:
		return &v.TLS12
	case tls.VersionTLS11:
		return &v.TLS11
	}
	return &v.TLS10
}

func (c *cipherStats) of(id uint16) *stats.Counter {
	switch id {
	case tls.TLS_AES_128_GCM_SHA256:
		return &c.AES128GCM
	case tls.TLS_AES_256_GCM_SHA384:
		return &c.AES256GCM
	case tls.TLS_CHACHA20_POLY1305_SHA256:
		return &c.Chacha
	case tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256:
		return &c.ECDSAAES128GCM
	case tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384:
		return &c.ECDSAAES256GCM
	case tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256:
		return &c.ECDSAChacha
	case tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA:
		return &c.ECDSAAES128CBC
	case tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA:
		return &c.ECDSAAES256CBC
	case tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256:
		return &c.ECDHERSAAES128GCM
	case tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384:
		return &c.ECDHERSAAES256GCM
	case tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256:
		return &c.ECDHERSAChacha
	case tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA:
		return &c.ECDHERSAAES128CBC
	case tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA:
		return &c.ECDHERSAAES256CBC
	case tls.TLS_RSA_WITH_AES_128_GCM_SHA256:
		return &c.RSAAES128GCM
	case tls.TLS_RSA_WITH_AES_256_GCM_SHA384:
		return &c.RSAAES256GCM
	case tls.TLS_RSA_WITH_AES_128_CBC_SHA:
		return &c.RSAAES128CBC
	}
	return &c.RSAAES256CBC
}

func (c *curveStats) of(id tls.CurveID) *stats.Counter {
	switch id {
	case tls.X25519:
		return &c.X25519
	case tls.X25519MLKEM768:
		return &c.X25519MLKEM768
	case tls.CurveP256:
		return &c.P256
	case tls.CurveP384:
		return &c.P384
	case tls.CurveP521:
		return &c.P521
	}
	return nil // a resumed or an RSA key exchange
}

// of is the algorithm that the holder of cert signs the handshake by.
// crypto/tls does not tell; it follows from the key but for RSA, where the
// first of both sides' preferences is meant.
func (s *sigalgStats) of(cert *x509.Certificate) *stats.Counter {
	switch k := cert.PublicKey.(type) {
	case ed25519.PublicKey:
		return &s.Ed25519
	case *ecdsa.PublicKey:
		switch k.Curve.Params().BitSize {
		case 384:
			return &s.ECDSAP384
		case 521:
			return &s.ECDSAP521
		}
		return &s.ECDSAP256
	}
	return &s.RSAPSSSHA256
}

// failed counts a handshake or a session that has failed.
func (s *Stats) failed(err error) {
	var refused *verifyError
	switch e, known := classify(err); {
	case errors.As(err, &refused):
		switch refused.kind {
		case failSAN:
			s.FailVerifySAN.Inc()
		case failHash:
			s.FailVerifyCertHash.Inc()
		default:
			s.FailVerifyError.Inc()
		}
	case known && e == errNoPeerCert:
		s.FailVerifyNoCert.Inc()
	case !isGone(err):
		s.ConnectionError.Inc()
	}
}

// succeeded counts a handshake.
func (s *Stats) succeeded(cs *tls.ConnectionState) {
	s.Handshake.Inc()
	if cs.DidResume {
		s.SessionReused.Inc()
	}
	s.Versions.of(cs.Version).Inc()
	s.Ciphers.of(cs.CipherSuite).Inc()
	if c := s.Curves.of(cs.CurveID); c != nil {
		c.Inc()
	}
	if len(cs.PeerCertificates) == 0 {
		s.NoCertificate.Inc()
	} else {
		s.SignatureAlgorithms.of(cs.PeerCertificates[0]).Inc()
	}
}
