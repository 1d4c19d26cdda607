package tls

import (
	"crypto/tls"
	"crypto/x509"
)

// mayAgree tells whether the peer's certificate lets its key do what the
// handshake has had it do (RFC 5280 section 4.2.1.3): crypto/tls does not look.
func mayAgree(cs tls.ConnectionState) error {
	needs := x509.KeyUsageDigitalSignature
	if decrypts(cs.CipherSuite) {
		needs = x509.KeyUsageKeyEncipherment
	}
	if has := cs.PeerCertificates[0].KeyUsage; has != 0 && has&needs == 0 {
		return errKeyUsage
	}
	return nil
}

// decrypts tells whether a suite has the server's key decrypt, not sign.
func decrypts(suite uint16) bool {
	switch suite {
	case tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_256_CBC_SHA, tls.TLS_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_RSA_WITH_AES_128_CBC_SHA256, tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA, tls.TLS_RSA_WITH_RC4_128_SHA:
		return true
	}
	return false
}

// fits tells whether a key may be used as a client's or a server's at all.
func fits(c *x509.Certificate, usage x509.ExtKeyUsage) bool {
	may := x509.KeyUsageDigitalSignature | x509.KeyUsageKeyAgreement
	if usage == x509.ExtKeyUsageServerAuth {
		may |= x509.KeyUsageKeyEncipherment
	}
	return c.KeyUsage == 0 || c.KeyUsage&may != 0
}
