package tls

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
)

func TestMayAgree(t *testing.T) {
	for _, tt := range []struct {
		name  string
		suite uint16
		usage x509.KeyUsage
		want  error
	}{
		{"nothing is said", tls.TLS_AES_128_GCM_SHA256, 0, nil},
		{"signs", tls.TLS_AES_128_GCM_SHA256, x509.KeyUsageDigitalSignature, nil},
		{"only decrypts", tls.TLS_AES_128_GCM_SHA256, x509.KeyUsageKeyEncipherment, errKeyUsage},
		{"an authority", tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, x509.KeyUsageCertSign, errKeyUsage},
		{"decrypts, as it must", tls.TLS_RSA_WITH_AES_128_GCM_SHA256, x509.KeyUsageKeyEncipherment, nil},
		{"signs, but must decrypt", tls.TLS_RSA_WITH_AES_128_GCM_SHA256, x509.KeyUsageDigitalSignature, errKeyUsage},
	} {
		cs := tls.ConnectionState{CipherSuite: tt.suite, PeerCertificates: []*x509.Certificate{{KeyUsage: tt.usage}}}
		if err := mayAgree(cs); err != tt.want {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestFits(t *testing.T) {
	decrypts := &x509.Certificate{KeyUsage: x509.KeyUsageKeyEncipherment}
	if !fits(decrypts, x509.ExtKeyUsageServerAuth) || fits(decrypts, x509.ExtKeyUsageClientAuth) {
		t.Error("a key that decrypts is a server's, not a client's")
	}
	if !fits(&x509.Certificate{}, x509.ExtKeyUsageClientAuth) {
		t.Error("a key of which nothing is said may be anything")
	}
}
