package tls_test

import (
	"bufio"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"net"
	"strings"
	"testing"
	"time"

	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"
	"sigs.k8s.io/yaml"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/internal/listenerrig"
	"github.com/weirproxy/weir/internal/testca"
	"github.com/weirproxy/weir/proxy/filter"
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/secret"
	wtls "github.com/weirproxy/weir/proxy/tls"
)

// fakeSecrets stands in for the server's.
type fakeSecrets struct {
	now      map[string]*tlsv3.Secret
	watchers map[string][]secret.OnChange
}

func (f *fakeSecrets) Watch(_ field.Path, c *tlsv3.SdsSecretConfig, _ secret.Kind, on secret.OnChange) (func(), error) {
	f.watchers[c.GetName()] = append(f.watchers[c.GetName()], on)
	if s := f.now[c.GetName()]; s != nil {
		return func() {}, on("secret", s)
	}
	return func() {}, nil
}

// server is a listener that echoes over TLS.
type server struct {
	*listenerrig.Rig
	t       testing.TB
	addr    string
	secrets *fakeSecrets
	certs   wtls.Inventory
}

// newServer starts a rig; serve adds the listener.
func newServer(t testing.TB) *server {
	t.Helper()
	s := &server{t: t, secrets: &fakeSecrets{now: map[string]*tlsv3.Secret{}, watchers: map[string][]secret.OnChange{}}}
	s.Rig = listenerrig.New(t, listenerrig.Options{DrainTime: time.Second, Factories: &listener.Factories{
		Listener: filter.Listener(),
		Transport: map[string]listener.TransportSocketFactory{wtls.DownstreamTypeURL: func(p field.Path, a *anypb.Any, ctx *listener.FactoryContext) (listener.TransportFactory, error) {
			x, err := wtls.NewServer(p, a, wtls.Options{Stats: ctx.Stats, Prefix: "listener.l.", Secrets: s.secrets, Scope: ctx, Certs: &s.certs})
			if err != nil {
				return nil, err
			}
			return x.Socket, nil
		}},
	}})
	return s
}

// set gives a secret to who asked for it, and returns what they say.
func (s *server) set(secret *tlsv3.Secret) (err error) {
	s.Main(func() {
		s.secrets.now[secret.Name] = secret
		for _, on := range s.secrets.watchers[secret.Name] {
			if e := on("secret", secret); e != nil {
				err = e
			}
		}
	})
	return err
}

// listen adds the listener with a DownstreamTlsContext in YAML.
func (s *server) listen(context string) error {
	s.t.Helper()
	j, err := yaml.YAMLToJSON([]byte(context))
	if err != nil {
		s.t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(j, &m); err != nil {
		s.t.Fatal(err)
	}
	m["@type"] = wtls.DownstreamTypeURL
	j, _ = json.Marshal(m)
	config := fmt.Sprintf(`{name: l, address: {socket_address: {address: 127.0.0.1, port_value: 0}}, filter_chains: [{filters: [%s],
		transport_socket: {name: tls, typed_config: %s}}]}`, listenerrig.Echo("hello"), j)
	if err := s.Add(config); err != nil {
		return err
	}
	s.Main(func() {
		for _, d := range s.Manager.Dump() {
			s.addr = d.Addresses[0].String()
		}
	})
	return nil
}

func serve(t testing.TB, context string) *server {
	t.Helper()
	s := newServer(t)
	if err := s.listen(context); err != nil {
		t.Fatal(err)
	}
	return s
}

// certYAML is tls_certificates with these, in flow style.
func certYAML(pairs ...*testca.Pair) string {
	var out []string
	for _, p := range pairs {
		out = append(out, fmt.Sprintf("{certificate_chain: {inline_string: %q}, private_key: {inline_string: %q}}", p.ChainPEM(), p.KeyPEM()))
	}
	return "tls_certificates: [" + strings.Join(out, ", ") + "]"
}

func caYAML(p *testca.Pair) string { return fmt.Sprintf("trusted_ca: {inline_string: %q}", p.PEM()) }

// dial makes a TLS connection and checks that it echoes.
func (s *server) dial(c *tls.Config) (*tls.Conn, error) {
	raw, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	raw.SetDeadline(time.Now().Add(10 * time.Second))
	conn := tls.Client(raw, c)
	s.t.Cleanup(func() { raw.Close() })
	if _, err := conn.Write([]byte("ping\n")); err != nil {
		return conn, err
	}
	r := bufio.NewReader(conn)
	if _, err := r.ReadString('\n'); err != nil { // who it is
		return conn, err
	}
	line, err := r.ReadString('\n')
	if err == nil && line != "ping\n" {
		s.t.Fatalf("echo says %q", line)
	}
	return conn, err
}

func (s *server) mustDial(c *tls.Config) *tls.Conn {
	s.t.Helper()
	conn, err := s.dial(c)
	if err != nil {
		s.t.Fatal(err)
	}
	return conn
}

func newSecret(t testing.TB, text string) *tlsv3.Secret {
	t.Helper()
	j, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	m := &tlsv3.Secret{}
	if err := protojson.Unmarshal(j, m); err != nil {
		t.Fatal(err)
	}
	return m
}

func hash(p *testca.Pair) string {
	sum := sha256.Sum256(p.Cert.Raw)
	return hex.EncodeToString(sum[:])
}

func spki(p *testca.Pair) string {
	sum := sha256.Sum256(p.Cert.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}

func spiffeYAML(domain string, ca *testca.Pair) string {
	return fmt.Sprintf("custom_validator_config: {name: envoy.tls.cert_validator.spiffe, typed_config: {'@type': type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig, trust_domains: [{name: %s, trust_bundle: {inline_string: %q}}]}}", domain, ca.PEM())
}
