package tls_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/weirproxy/weir/internal/testca"
)

func mustStapleCert(c *x509.Certificate) {
	c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: []int{1, 3, 6, 1, 5, 5, 7, 1, 24}, Value: []byte{0x30, 3, 2, 1, 5}})
}

func staple(t *testing.T, ca, cert *testca.Pair, next time.Time) string {
	t.Helper()
	der, err := ocsp.CreateResponse(ca.Cert, ca.Cert, ocsp.Response{Status: ocsp.Good, SerialNumber: cert.Cert.SerialNumber, ThisUpdate: time.Now().Add(-48 * time.Hour), NextUpdate: next}, ca.Key)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}

func TestOCSPStaples(t *testing.T) {
	ca := testca.New(t, "root")
	plain, must := ca.Issue("a", testca.DNS("a.example")), ca.Issue("a", testca.DNS("a.example"), mustStapleCert)
	soon, past := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	for _, tt := range []struct {
		name, policy string
		cert         *testca.Pair
		next         time.Time // zero: no response
		sent, fails  bool
	}{
		{"good", "LENIENT_STAPLING", plain, soon, true, false},
		{"none", "LENIENT_STAPLING", plain, time.Time{}, false, false},
		{"expired", "LENIENT_STAPLING", plain, past, false, false},
		{"expired, strictly", "STRICT_STAPLING", plain, past, false, true},
		{"none, strictly", "STRICT_STAPLING", plain, time.Time{}, false, false},
		{"expired, but needed", "MUST_STAPLE", plain, past, false, true},
		{"the certificate needs it", "LENIENT_STAPLING", must, past, false, true},
		{"the certificate has it", "LENIENT_STAPLING", must, soon, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			response := ""
			if !tt.next.IsZero() {
				response = ", ocsp_staple: {inline_bytes: " + staple(t, ca, tt.cert, tt.next) + "}"
			}
			s := serve(t, fmt.Sprintf("ocsp_staple_policy: %s\ncommon_tls_context: {tls_certificates: [{certificate_chain: {inline_string: %q}, private_key: {inline_string: %q}%s}]}",
				tt.policy, tt.cert.ChainPEM(), tt.cert.KeyPEM(), response))
			c, err := s.dial(&tls.Config{RootCAs: ca.Pool(), ServerName: "a.example"})
			if (err != nil) != tt.fails {
				t.Fatal(err)
			}
			if sent := len(c.ConnectionState().OCSPResponse) > 0; sent != tt.sent {
				t.Errorf("a response was sent: %v", sent)
			}
			s.WantStat("listener.l.ssl.ocsp_staple_requests", "1")
			s.WantStat("listener.l.ssl.ocsp_staple_failed", map[bool]string{true: "1", false: "0"}[tt.fails])
			s.WantStat("listener.l.ssl.ocsp_staple_responses", map[bool]string{true: "1", false: "0"}[tt.sent])
		})
	}
	s := newServer(t)
	config := fmt.Sprintf("common_tls_context: {tls_certificates: [{certificate_chain: {inline_string: %q}, private_key: {inline_string: %q}, ocsp_staple: {inline_bytes: %s}}]}",
		plain.ChainPEM(), plain.KeyPEM(), staple(t, ca, must, soon))
	if err := s.listen(config); err == nil {
		t.Error("another certificate's response is accepted")
	}
}
