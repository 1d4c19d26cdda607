//go:build oracle

package oracle

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/weirproxy/weir/internal/tcprig"
	"github.com/weirproxy/weir/internal/testca"
)

// certDir has the certificates that cases name by {{certs}}: NAME.pem and
// NAME.key of each below, ca.pem and ca.crl, and NAME.sds.yaml, the same as a
// file that SDS reads. NAME-STATUS.ocsp are OCSP responses for server, rsa and
// must: good, revoked, unknown and late; bundles.json is a SPIFFE trust bundle
// map, and one.tickets and two.tickets are keys of session tickets.
var certDir string

// certMarks are what cases write for what follows from certificates:
// {{hash:NAME}} and {{spki:NAME}} are fingerprints.
var certMarks []string

// makeCerts fills certDir.
func makeCerts(t *testing.T) (server tls.Certificate, roots *x509.CertPool) {
	t.Helper()
	certDir = t.TempDir()
	ca, other := testca.New(t, "root"), testca.New(t, "other root")
	middle := ca.Issue("middle", testca.CA)
	full := testca.Subject(pkix.Name{CommonName: "client one", Organization: []string{"Acme, Inc."}, OrganizationalUnit: []string{"dev \"ops\""}, Country: []string{"NL"}})
	pairs := map[string]*testca.Pair{
		"ca": ca, "other-ca": other,
		"server":   ca.Issue("server", testca.DNS("a.example", "*.wild.example"), testca.IP("127.0.0.1"), testca.URI("spiffe://td/server")),
		"rsa":      ca.Issue("rsa", testca.DNS("a.example"), testca.RSA),
		"nosign":   ca.Issue("nosign", testca.DNS("a.example"), testca.RSA, testca.NoSigning),
		"nosignec": ca.Issue("nosignec", testca.DNS("a.example"), testca.NoSigning),
		"b":        ca.Issue("b", testca.DNS("b.example")),
		"upstream": ca.Issue("upstream", testca.DNS("up.example", "*.up.example"), testca.IP("127.0.0.1"), testca.URI("spiffe://td/upstream")),
		"client":   ca.Issue("client", full, testca.URI("spiffe://td/ns/a/sa/b"), testca.DNS("client.example", "second.example")),
		"bare":     ca.Issue("bare"),
		"deep":     middle.Issue("deep", testca.URI("spiffe://td/deep")),
		"expired":  ca.Issue("expired", testca.Expired, testca.URI("spiffe://td/old")),
		"stranger": other.Issue("stranger", testca.URI("spiffe://td/x")),
		"revoked":  ca.Issue("revoked", testca.URI("spiffe://td/revoked")),
		"must":     ca.Issue("must", testca.DNS("must.example"), mustStaple),
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(certDir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const sds = "resources: [{'@type': type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret, name: %s, %s}]\n"
	for name, p := range pairs {
		p.Write(certDir, name)
		write(name+".sds.yaml", fmt.Sprintf(sds, name, fmt.Sprintf("tls_certificate: {certificate_chain: {filename: %[1]s/%[2]s.pem}, private_key: {filename: %[1]s/%[2]s.key}}", certDir, name)))
	}
	write("validation.sds.yaml", fmt.Sprintf(sds, "validation", fmt.Sprintf("validation_context: {trusted_ca: {filename: %s/ca.pem}}", certDir)))
	write("ca.crl", ca.CRL(pairs["revoked"]))
	writeStaples(t, ca, pairs)
	for name, p := range pairs {
		spki := sha256.Sum256(p.Cert.RawSubjectPublicKeyInfo)
		certMarks = append(certMarks, "{{hash:"+name+"}}", fmt.Sprintf("%x", sha256.Sum256(p.Cert.Raw)),
			"{{spki:"+name+"}}", base64.StdEncoding.EncodeToString(spki[:]))
	}
	x5c := base64.StdEncoding.EncodeToString(ca.Cert.Raw)
	key, err := ca.Cert.PublicKey.(*ecdsa.PublicKey).Bytes() // 4, x, y
	if err != nil {
		t.Fatal(err)
	}
	x, y := key[1:33], key[33:]
	write("bundles.json", fmt.Sprintf(`{"trust_domains": {"td": {"sequence_number": 1, "spiffe_refresh_hint": 60, "keys": [{"use": "x509-svid", "kty": "EC", "crv": "P-256", "x": %q, "y": %q, "x5c": [%q]}]}}}`,
		base64.RawURLEncoding.EncodeToString(x), base64.RawURLEncoding.EncodeToString(y), x5c))
	write("one.tickets", strings.Repeat("1", 80))
	write("two.tickets", strings.Repeat("2", 80))
	return pairs["upstream"].TLS(), ca.Pool()
}

// mustStaple is the feature of RFC 7633.
func mustStaple(c *x509.Certificate) {
	c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: []int{1, 3, 6, 1, 5, 5, 7, 1, 24}, Value: []byte{0x30, 3, 2, 1, 5}})
}

func writeStaples(t *testing.T, ca *testca.Pair, pairs map[string]*testca.Pair) {
	t.Helper()
	now := time.Now()
	for _, name := range []string{"server", "rsa", "must"} {
		for kind, r := range map[string]ocsp.Response{
			"good":    {Status: ocsp.Good, NextUpdate: now.Add(time.Hour)},
			"revoked": {Status: ocsp.Revoked, NextUpdate: now.Add(time.Hour), RevokedAt: now.Add(-time.Hour)},
			"unknown": {Status: ocsp.Unknown, NextUpdate: now.Add(time.Hour)},
			"late":    {Status: ocsp.Good, NextUpdate: now.Add(-time.Hour)},
			"endless": {Status: ocsp.Good},
			"early":   {Status: ocsp.Good, ThisUpdate: now.Add(time.Hour), NextUpdate: now.Add(2 * time.Hour)},
		} {
			r.SerialNumber = pairs[name].Cert.SerialNumber
			if r.ThisUpdate.IsZero() {
				r.ThisUpdate = now.Add(-48 * time.Hour)
			}
			der, err := ocsp.CreateResponse(ca.Cert, ca.Cert, r, ca.Key)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(certDir, name+"-"+kind+".ocsp"), der, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// tlsSeen is what one side of a TLS connection saw.
type tlsSeen struct {
	Version string `json:",omitempty"`
	Cipher  string `json:",omitempty"`
	ALPN    string `json:",omitempty"`
	SNI     string `json:",omitempty"`
	Peer    string `json:",omitempty"` // its certificate's common name
	Resumed bool   `json:",omitempty"`
	Staple  bool   `json:",omitempty"` // an OCSP response came along
	CAs     *int   `json:",omitempty"` // how many authorities it names
	Failed  bool   `json:",omitempty"`
	Alert   string `json:",omitempty"` // why, by the other side
}

func seenOf(cs tls.ConnectionState, server bool) *tlsSeen {
	s := &tlsSeen{Version: tls.VersionName(cs.Version), Cipher: tls.CipherSuiteName(cs.CipherSuite), ALPN: cs.NegotiatedProtocol, Resumed: cs.DidResume, Staple: len(cs.OCSPResponse) > 0}
	if server {
		s.SNI = cs.ServerName
	}
	if len(cs.PeerCertificates) > 0 {
		s.Peer = cs.PeerCertificates[0].Subject.CommonName
	}
	return s
}

// startTLSEcho is startEcho over TLS; who asks is asked for a certificate.
func startTLSEcho(t *testing.T, name string, c *tls.Config) (e *echo, port int) {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", c)
	if err != nil {
		t.Fatal(err)
	}
	e = &echo{name: name, seen: map[string]int{}}
	tcprig.Serve(t, l, func(c net.Conn) {
		if c.(*tls.Conn).Handshake() == nil {
			e.serve(c)
		}
	})
	return e, l.Addr().(*net.TCPAddr).Port
}

// tlsClient is how a request's connection is made.
type tlsClient struct {
	SNI     string   `json:"sni"` // a.example; "-" is none
	ALPN    []string `json:"alpn"`
	Cert    string   `json:"cert"` // of certDir
	Version string   `json:"version"`
	Ciphers []string `json:"ciphers"` // by crypto/tls's names, TLS 1.2
	Curves  []int    `json:"curves"`
	Twice   bool     `json:"twice"` // the second connection counts, which may resume
	Plain   bool     `json:"plain"` // without TLS, in a case with it
	CAs     bool     `json:"cas"`   // how many authorities the server names counts
}

func (c *tlsClient) config() (*tls.Config, error) {
	out := &tls.Config{InsecureSkipVerify: true, ServerName: c.SNI, NextProtos: c.ALPN, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	switch c.SNI {
	case "":
		out.ServerName = "a.example"
	case "-":
		out.ServerName = ""
	}
	switch c.Version {
	case "1.2":
		out.MaxVersion = tls.VersionTLS12
	case "1.1":
		out.MinVersion, out.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	}
	for _, id := range c.Curves {
		out.CurvePreferences = append(out.CurvePreferences, tls.CurveID(id))
	}
	for _, s := range tls.CipherSuites() {
		for _, name := range c.Ciphers {
			if s.Name == name {
				out.CipherSuites = append(out.CipherSuites, s.ID)
			}
		}
	}
	if c.Cert == "" {
		return out, nil
	}
	cert, err := tls.LoadX509KeyPair(filepath.Join(certDir, c.Cert+".pem"), filepath.Join(certDir, c.Cert+".key"))
	out.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
	return out, err
}

// wrap makes a connection one with TLS. An error is a handshake that failed.
func (c *tlsClient) wrap(raw net.Conn, again func() (net.Conn, error)) (net.Conn, *tlsSeen, error) {
	config, err := c.config()
	if err != nil {
		return raw, nil, err
	}
	if c.Twice {
		first := tls.Client(raw, config)
		first.SetDeadline(time.Now().Add(5 * time.Second))
		fmt.Fprintf(first, "GET /first HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
		for buf := make([]byte, 4096); ; {
			if _, err := first.Read(buf); err != nil {
				break
			}
		}
		first.Close()
		if raw, err = again(); err != nil {
			return nil, nil, err
		}
	}
	conn := tls.Client(raw, config)
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	named := 0
	if choose := config.GetClientCertificate; c.CAs && choose != nil {
		config.GetClientCertificate = func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			named = len(r.AcceptableCAs)
			return choose(r)
		}
	}
	if err := conn.Handshake(); err != nil {
		failed := &tlsSeen{Failed: true}
		if op := (*net.OpError)(nil); errors.As(err, &op) && op.Op == "remote error" {
			failed.Alert = op.Err.Error()
			if strings.Contains(failed.Alert, "certificate") {
				failed.Alert = "a certificate" // crypto/tls has one alert for all that's wrong with one
			}
		}
		return conn, failed, nil
	}
	seen := seenOf(conn.ConnectionState(), false)
	if c.CAs {
		seen.CAs = &named
	}
	return conn, seen, nil
}

// downstreamTLS is the transport socket of the case's listener.
func (c *testCase) downstreamTLS() object {
	config := merge(object{
		"@type": typePrefix + "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
		"common_tls_context": object{"tls_certificates": []any{object{
			"certificate_chain": object{"filename": certDir + "/server.pem"}, "private_key": object{"filename": certDir + "/server.key"}}}},
	}, c.TLS)
	common := config["common_tls_context"].(object)
	if common["tls_certificate_sds_secret_configs"] != nil {
		delete(common, "tls_certificates")
	}
	return object{"name": "envoy.transport_sockets.tls", "typed_config": config}
}
