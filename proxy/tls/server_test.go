package tls_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/rand"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/weirproxy/weir/internal/listenerrig"
	"github.com/weirproxy/weir/internal/testca"
)

func TestVersionsAndKeys(t *testing.T) {
	ca := testca.New(t, "root")
	for _, key := range []struct {
		name   string
		option testca.Option
	}{{"P-256", func(*x509.Certificate) {}}, {"P-384", testca.P384}, {"RSA", testca.RSA}} {
		t.Run(key.name, func(t *testing.T) {
			s := serve(t, "common_tls_context: {"+certYAML(ca.Issue("a.example", testca.DNS("a.example"), key.option))+"}")
			for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				c := s.mustDial(&tls.Config{RootCAs: ca.Pool(), ServerName: "a.example", MaxVersion: v})
				if got := c.ConnectionState().Version; got != v {
					t.Errorf("version %x, want %x", got, v)
				}
			}
			s.WantStat("listener.l.ssl.handshake", "2")
			s.WantStat("listener.l.ssl.versions.TLSv1.2", "1")
			s.WantStat("listener.l.ssl.versions.TLSv1.3", "1")
			s.WantStat("listener.l.ssl.no_certificate", "2")
		})
	}
}

// slowConn passes writes on in small pieces.
type slowConn struct {
	net.Conn
	piece int
}

func (c slowConn) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var k int
		k, err = c.Conn.Write(p[n:min(len(p), n+c.piece)])
		n += k
	}
	return n, err
}

// TestPieces sends a session in pieces of each size, so that the handshake and
// the records stop everywhere.
func TestPieces(t *testing.T) {
	ca := testca.New(t, "root")
	s := serve(t, "common_tls_context: {"+certYAML(ca.Issue("a.example", testca.DNS("a.example")))+"}")
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, piece := range []int{1, 2, 7, 100} {
			raw := listenerrig.Dial(t, s.addr)
			raw.SetNoDelay(true)
			c := tls.Client(slowConn{raw, piece}, &tls.Config{RootCAs: ca.Pool(), ServerName: "a.example", MaxVersion: v})
			want := make([]byte, 3000)
			for i := range want {
				want[i] = byte('a' + i%20)
			}
			if _, err := c.Write(want); err != nil {
				t.Fatal(err)
			}
			got := readSome(t, c, len(want))
			if !bytes.HasSuffix(got, want[len(want)-100:]) {
				t.Fatalf("pieces of %d: other bytes came back", piece)
			}
			c.Close()
		}
	}
}

// readSome reads the greeting and n bytes.
func readSome(t testing.TB, r io.Reader, n int) []byte {
	t.Helper()
	var out []byte
	buf := make([]byte, 32<<10)
	greeting := -1
	for greeting < 0 || len(out) < greeting+n {
		k, err := r.Read(buf)
		out = append(out, buf[:k]...)
		if greeting < 0 {
			greeting = bytes.IndexByte(out, '\n') + 1
			if greeting == 0 {
				greeting = -1
			}
		}
		if err != nil {
			t.Fatalf("after %d bytes: %v", len(out), err)
		}
	}
	return out[greeting:]
}

func TestBulkBothWays(t *testing.T) {
	ca := testca.New(t, "root")
	s := serve(t, "common_tls_context: {"+certYAML(ca.Issue("a.example", testca.DNS("a.example")))+"}")
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		raw := listenerrig.Dial(t, s.addr)
		c := tls.Client(raw, &tls.Config{RootCAs: ca.Pool(), ServerName: "a.example", MaxVersion: v})
		want := make([]byte, 8<<20)
		rand.New(rand.NewSource(1)).Read(want)
		go c.Write(want)
		if got := readSome(t, c, len(want)); !bytes.Equal(got, want) {
			t.Fatal("other bytes came back")
		}
		c.Close()
	}
}

// TestCloseNotify: the server answers a close by one of its own, and never
// leaves its end out.
func TestCloseNotify(t *testing.T) {
	ca := testca.New(t, "root")
	s := serve(t, "common_tls_context: {"+certYAML(ca.Issue("a.example", testca.DNS("a.example")))+"}")
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		c := s.mustDial(&tls.Config{RootCAs: ca.Pool(), ServerName: "a.example", MaxVersion: v})
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("read after close: %v", err)
		}
	}
	s.WantStat("listener.l.ssl.connection_error", "0")
}

// signs lets a certificate's key sign handshakes besides what else it may.
func signs(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageDigitalSignature }

func TestClientCertificates(t *testing.T) {
	ca, other := testca.New(t, "root"), testca.New(t, "other")
	middle := ca.Issue("middle", testca.CA)
	good := ca.Issue("client", testca.URI("spiffe://td/ns/a/sa/b"), testca.DNS("client.example"), testca.Email("a@b.example"), testca.IP("10.1.2.3"))
	viaMiddle := middle.Issue("deep", testca.URI("spiffe://td/deep"))
	expired := ca.Issue("old", testca.Expired, testca.URI("spiffe://td/ns/a/sa/b"))
	san := func(kind, matcher string) string {
		return fmt.Sprintf("%s, match_typed_subject_alt_names: [{san_type: %s, matcher: {%s}}]", caYAML(ca), kind, matcher)
	}
	for _, tt := range []struct {
		name       string
		validation string
		client     *testca.Pair // nil: none
		fails      string       // the statistic that counts it; "" is good
	}{
		{"trusted", caYAML(ca), good, ""},
		{"through an intermediate", caYAML(ca), viaMiddle, ""},
		{"the intermediate as the anchor", caYAML(middle), viaMiddle, ""},
		{"too deep", caYAML(ca) + ", max_verify_depth: 1", viaMiddle, "fail_verify_error"},
		{"deep enough", caYAML(ca) + ", max_verify_depth: 2", viaMiddle, ""},
		{"other authority", caYAML(ca), other.Issue("x"), "fail_verify_error"},
		{"untrusted is let in", caYAML(ca) + ", trust_chain_verification: ACCEPT_UNTRUSTED", other.Issue("x"), ""},
		{"none", caYAML(ca), nil, "fail_verify_no_cert"},
		{"expired", caYAML(ca), expired, "fail_verify_error"},
		{"expired is let in", caYAML(ca) + ", allow_expired_certificate: true", expired, ""},
		{"URI", san("URI", "prefix: spiffe://td/"), good, ""},
		{"other URI", san("URI", "prefix: spiffe://elsewhere/"), good, "fail_verify_san"},
		{"DNS", san("DNS", "exact: client.example"), good, ""},
		{"other DNS", san("DNS", "exact: example"), good, "fail_verify_san"},
		{"e-mail", san("EMAIL", "suffix: b.example"), good, ""},
		{"IP", san("IP_ADDRESS", "exact: 10.1.2.3"), good, ""},
		{"other IP", san("IP_ADDRESS", "exact: 10.1.2.4"), good, "fail_verify_san"},
		{"regex", san("URI", "safe_regex: {regex: 'spiffe://td/ns/[a-z]+/sa/.*'}"), good, ""},
		{"untyped", caYAML(ca) + ", match_subject_alt_names: [{exact: client.example}]", good, ""},
		{"revoked", fmt.Sprintf("%s, crl: {inline_string: %q}", caYAML(ca), ca.CRL(good)), good, "fail_verify_error"},
		{"not revoked", fmt.Sprintf("%s, crl: {inline_string: %q}", caYAML(ca), ca.CRL(expired)), good, ""},
		{"no list for the intermediate", fmt.Sprintf("%s, crl: {inline_string: %q}", caYAML(ca), ca.CRL()), viaMiddle, "fail_verify_error"},
		{"lists for all", fmt.Sprintf("%s, crl: {inline_string: %q}", caYAML(ca), ca.CRL()+middle.CRL()), viaMiddle, ""},
		{"the leaf's list alone", fmt.Sprintf("%s, only_verify_leaf_cert_crl: true, crl: {inline_string: %q}", caYAML(ca), middle.CRL()), viaMiddle, ""},
		{"hash", "verify_certificate_hash: [" + hash(good) + "]", good, ""},
		{"other hash", "verify_certificate_hash: [" + hash(expired) + "]", good, "fail_verify_cert_hash"},
		{"key", "verify_certificate_spki: [" + spki(good) + "]", good, ""},
		{"other key", "verify_certificate_spki: [" + spki(expired) + "]", good, "fail_verify_cert_hash"},
		{"SPIFFE", spiffeYAML("td", ca), good, ""},
		{"SPIFFE of another domain", spiffeYAML("td", ca), ca.Issue("x", testca.URI("spiffe://other/x")), "fail_verify_error"},
		{"SPIFFE of another authority", spiffeYAML("td", ca), other.Issue("x", testca.URI("spiffe://td/x")), "fail_verify_error"},
		{"SPIFFE: an authority is no workload", spiffeYAML("td", ca), ca.Issue("x", testca.URI("spiffe://td/x"), testca.CA, signs), "fail_verify_error"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, "require_client_certificate: true\ncommon_tls_context: {"+certYAML(ca.Issue("a.example", testca.DNS("a.example")))+", validation_context: {"+tt.validation+"}}")
			for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				c := &tls.Config{RootCAs: ca.Pool(), ServerName: "a.example", MaxVersion: v}
				if tt.client != nil {
					cert := tt.client.TLS()
					c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
				}
				if _, err := s.dial(c); (err == nil) != (tt.fails == "") {
					t.Fatalf("TLS %x: %v", v, err)
				}
			}
			if tt.fails != "" {
				s.WantStat("listener.l.ssl."+tt.fails, "2")
				s.WantStat("listener.l.ssl.handshake", "0")
			} else {
				s.WantStat("listener.l.ssl.handshake", "2")
			}
			s.WantStat("listener.l.ssl.connection_error", "0")
		})
	}
}

func TestCertificateBySNI(t *testing.T) {
	ca := testca.New(t, "root")
	first := ca.Issue("first", testca.DNS("first.example"))
	rsa := ca.Issue("both", testca.DNS("both.example"), testca.RSA)
	ec := ca.Issue("both", testca.DNS("both.example"))
	wild := ca.Issue("wild", testca.DNS("*.wild.example"))
	cn := ca.Issue("cn.example")
	// Where the server speaks TLS 1.3, too, a client's signature algorithms
	// count, and crypto/tls's client has those of ECDSA, whatever its suites.
	s := serve(t, "common_tls_context: {tls_params: {tls_maximum_protocol_version: TLSv1_2}, "+certYAML(first, rsa, ec, wild, cn)+"}")
	rsaOnly := []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
	for _, tt := range []struct {
		sni     string
		ciphers []uint16 // with TLS 1.2
		want    *testca.Pair
	}{
		{"first.example", nil, first}, {"FIRST.example", nil, first}, {"both.example", nil, ec}, {"both.example", rsaOnly, rsa},
		{"x.wild.example", nil, wild}, {"x.y.wild.example", nil, first}, {"wild.example", nil, first}, {"cn.example", nil, cn},
		{"unknown.example", nil, first}, {"", nil, first},
	} {
		var got *x509.Certificate
		c := &tls.Config{ServerName: tt.sni, InsecureSkipVerify: true, CipherSuites: tt.ciphers, VerifyConnection: func(cs tls.ConnectionState) error {
			got = cs.PeerCertificates[0]
			return nil
		}}
		if tt.ciphers != nil {
			c.MaxVersion = tls.VersionTLS12
		}
		s.mustDial(c)
		if !tt.want.Equal(got) {
			t.Errorf("%q: got %v, want %v", tt.sni, got.Subject, tt.want.Cert.Subject)
		}
	}
}

func TestALPN(t *testing.T) {
	ca := testca.New(t, "root")
	s := serve(t, "common_tls_context: {alpn_protocols: [h2, http/1.1], "+certYAML(ca.Issue("a", testca.DNS("a.example")))+"}")
	for _, tt := range []struct {
		offered []string
		want    string
	}{{nil, ""}, {[]string{"http/1.1"}, "http/1.1"}, {[]string{"http/1.1", "h2"}, "h2"}, {[]string{"foo"}, ""}} {
		c := s.mustDial(&tls.Config{RootCAs: ca.Pool(), ServerName: "a.example", NextProtos: tt.offered})
		if got := c.ConnectionState().NegotiatedProtocol; got != tt.want {
			t.Errorf("%v: %q, want %q", tt.offered, got, tt.want)
		}
	}
}

func TestResumption(t *testing.T) {
	ca := testca.New(t, "root")
	cert := certYAML(ca.Issue("a", testca.DNS("a.example")))
	keys := fmt.Sprintf("session_ticket_keys: {keys: [{inline_bytes: %s}]}\n", strings.Repeat("QUJD", 26)+"QUI=")
	for _, tt := range []struct {
		name, config string
		want         bool
	}{
		{"by default", "", true}, {"with keys", keys, true}, {"disabled", "disable_stateless_session_resumption: true\n", false},
		{"within its time", "session_timeout: 100s\n", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, tt.config+"common_tls_context: {"+cert+"}")
			for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				c := &tls.Config{RootCAs: ca.Pool(), ServerName: "a.example", MaxVersion: v, ClientSessionCache: tls.NewLRUClientSessionCache(10)}
				s.mustDial(c).Close()
				if got := s.mustDial(c).ConnectionState().DidResume; got != tt.want {
					t.Errorf("TLS %x: resumed %v", v, got)
				}
			}
		})
	}
}

// TestRefused lists what weir takes no part of; each error names its field.
func TestRefused(t *testing.T) {
	ca := testca.New(t, "root")
	cert := certYAML(ca.Issue("a", testca.DNS("a.example")))
	s := newServer(t)
	for config, want := range map[string]string{
		"common_tls_context: {}": "No TLS certificates found",
		"prefer_client_ciphers: true\ncommon_tls_context: {" + cert + "}":                                                                                                  "prefer_client_ciphers",
		"require_sni: true\ncommon_tls_context: {" + cert + "}":                                                                                                            "require_sni",
		"common_tls_context: {" + cert + ", tls_params: {signature_algorithms: [ed25519]}}":                                                                                "signature_algorithms",
		"common_tls_context: {" + cert + ", tls_params: {cipher_suites: [FOO]}}":                                                                                           "cipher_suites[0]",
		"common_tls_context: {" + cert + ", tls_params: {ecdh_curves: [P-224]}}":                                                                                           "ecdh_curves[0]",
		"common_tls_context: {" + cert + ", custom_handshaker: {name: x}}":                                                                                                 "custom_handshaker",
		"common_tls_context: {tls_certificates: [{certificate_chain: {filename: /nowhere}}]}":                                                                              "tls_certificates[0].certificate_chain.filename",
		"common_tls_context: {tls_certificates: [{pkcs12: {filename: /nowhere}}]}":                                                                                         "pkcs12",
		"common_tls_context: {" + cert + ", validation_context: {match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: a}}]}}":                                  "not allowed",
		"common_tls_context: {" + cert + ", validation_context: {trusted_ca: {inline_string: rubbish}}}":                                                                   "trusted_ca",
		"common_tls_context: {" + cert + ", validation_context: {require_signed_certificate_timestamp: true}}":                                                             "require_signed_certificate_timestamp",
		"common_tls_context: {" + cert + ", validation_context: {verify_certificate_hash: [" + strings.Repeat("zz", 32) + "]}}":                                            "verify_certificate_hash[0]",
		"session_ticket_keys: {keys: [{inline_string: short}]}\ncommon_tls_context: {" + cert + "}":                                                                        "Incorrect TLS session ticket key length",
		"ocsp_staple_policy: MUST_STAPLE\ncommon_tls_context: {" + cert + "}":                                                                                              "Required OCSP response is missing",
		"common_tls_context: {" + strings.Replace(cert, "private_key: {", "private_key_provider: {provider_name: x}, private_key: {", 1) + "}":                             "private_key_provider",
		"common_tls_context: {" + cert + ", validation_context: {custom_validator_config: {name: x, typed_config: {'@type': type.googleapis.com/google.protobuf.Empty}}}}": "custom_validator_config",
	} {
		if err := s.listen(config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.200s\ngives %v, want %q", config, err, want)
		}
	}
}

// TestCertificateWhileASecretIsMissing: a bad certificate of the configuration
// is seen once all secrets are there, as Envoy has it.
func TestCertificateWhileASecretIsMissing(t *testing.T) {
	s := newServer(t)
	if err := s.listen("common_tls_context: {tls_certificates: [{certificate_chain: {inline_string: a}, private_key: {inline_string: b}}], validation_context_sds_secret_config: {name: ca, sds_config: {ads: {}}}}"); err != nil {
		t.Fatal(err)
	}
	err := s.set(newSecret(t, fmt.Sprintf("{name: ca, validation_context: {trusted_ca: {inline_string: %q}}}", testca.New(t, "root").PEM())))
	if err == nil || !strings.Contains(err.Error(), "tls_certificates[0]") {
		t.Errorf("the secret that completes them: %v", err)
	}
}

func TestNotTLS(t *testing.T) {
	ca := testca.New(t, "root")
	s := serve(t, "common_tls_context: {"+certYAML(ca.Issue("a", testca.DNS("a.example")))+"}")
	c := listenerrig.Dial(t, s.addr)
	c.Write([]byte("GET / HTTP/1.1\r\n\r\n"))
	if b, err := io.ReadAll(c); err != nil {
		t.Errorf("%q, %v", b, err)
	}
	s.WantStat("listener.l.ssl.connection_error", "1")
	// Who goes away within the handshake is no error.
	c = listenerrig.Dial(t, s.addr)
	c.Write([]byte("\x16\x03\x01\x02\x00\x01"))
	c.CloseWrite()
	io.ReadAll(c)
	s.WantStat("listener.l.downstream_cx_active", "")
	s.WantStat("listener.l.ssl.connection_error", "1")
}

func TestRealClients(t *testing.T) {
	ca := testca.New(t, "root")
	dir := t.TempDir()
	ca.Write(dir, "ca")
	client := ca.Issue("client")
	client.Write(dir, "client")
	s := serve(t, "require_client_certificate: true\ncommon_tls_context: {"+certYAML(ca.Issue("a", testca.DNS("a.example")))+", validation_context: {"+caYAML(ca)+"}}")
	for _, args := range [][]string{{"-tls1_2"}, {"-tls1_3"}, {"-tls1_3", "-groups", "P-256"}, {"-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"}} {
		openssl, err := exec.LookPath("openssl")
		if err != nil {
			t.Skip("no openssl here")
		}
		cmd := exec.Command(openssl, append([]string{"s_client", "-connect", s.addr, "-servername", "a.example", "-verify_return_error", "-CAfile", dir + "/ca.pem",
			"-cert", dir + "/client.pem", "-key", dir + "/client.key", "-quiet", "-no_ign_eof"}, args...)...)
		in, _ := cmd.StdinPipe()
		out, _ := cmd.StdoutPipe()
		var said bytes.Buffer
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		io.WriteString(in, "ping\n")
		got := make([]byte, 6)
		if _, err := io.ReadFull(out, got); err != nil || string(got) != "hello " {
			t.Errorf("%v: %q, %v; %s", args, got, err, said.String())
		}
		in.Close()
		io.Copy(io.Discard, out)
		cmd.Wait()
	}
}

// TestRotation replaces the certificate while connections are made; none
// fails, and those that stand go on.
func TestRotation(t *testing.T) {
	ca := testca.New(t, "root")
	certSecret := func(p *testca.Pair) string {
		return fmt.Sprintf("{name: cert, tls_certificate: {certificate_chain: {inline_string: %q}, private_key: {inline_string: %q}}}", p.ChainPEM(), p.KeyPEM())
	}
	s := newServer(t)
	if err := s.listen("common_tls_context: {tls_certificate_sds_secret_configs: [{name: cert, sds_config: {ads: {}}}]}"); err != nil {
		t.Fatal(err)
	}
	s.WantStat("listener_manager.total_listeners_warming", "1")
	if err := s.set(newSecret(t, certSecret(ca.Issue("0", testca.DNS("a.example"))))); err != nil {
		t.Fatal(err)
	}
	s.WantStat("listener_manager.total_listeners_active", "1")
	s.Settle()
	config := &tls.Config{RootCAs: ca.Pool(), ServerName: "a.example"}
	old := s.mustDial(config)
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if c, err := s.dial(config); err != nil {
				done <- err
				return
			} else {
				c.Close()
			}
		}
	}()
	for i := range 20 {
		if err := s.set(newSecret(t, certSecret(ca.Issue(fmt.Sprint(i+1), testca.DNS("a.example"))))); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.set(newSecret(t, "{name: cert, tls_certificate: {certificate_chain: {inline_string: bad}, private_key: {inline_string: bad}}}")); err == nil {
		t.Error("a bad certificate is accepted")
	}
	close(stop)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if got := s.mustDial(config).ConnectionState().PeerCertificates[0].Subject.CommonName; got != "20" {
		t.Errorf("the certificate is %q", got)
	}
	old.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := old.Write([]byte("x")); err != nil {
		t.Error(err)
	}
	if _, err := old.Read(make([]byte, 1)); err != nil {
		t.Error(err)
	}
	s.WantStat("listener.l.server_ssl_socket_factory.ssl_context_update_by_sds", "21")
}
