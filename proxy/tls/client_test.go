package tls_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"
	"sigs.k8s.io/yaml"

	"github.com/weirproxy/weir/internal/tcprig"
	"github.com/weirproxy/weir/internal/testca"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/secret"
	"github.com/weirproxy/weir/proxy/stats"
	wtls "github.com/weirproxy/weir/proxy/tls"
)

// scope is a cluster that never closes.
type scope struct{ closers []func() }

func (s *scope) WaitFor(string) func() { return func() {} }
func (s *scope) OnClose(f func())      { s.closers = append(s.closers, f) }

// clientRig is a context and a loop to dial on.
type clientRig struct {
	t       testing.TB
	loop    *network.Loop
	secrets *fakeSecrets
	client  *wtls.Client
}

func newClientRig(t testing.TB, context string) *clientRig {
	t.Helper()
	loop, err := network.NewLoop("worker", 0)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { loop.Run(); close(done) }()
	t.Cleanup(func() { loop.Exit(); <-done; loop.Close() })
	j, err := yaml.YAMLToJSON([]byte(context))
	if err != nil {
		t.Fatal(err)
	}
	m := &tlsv3.UpstreamTlsContext{}
	if err := protojson.Unmarshal(j, m); err != nil {
		t.Fatal(err)
	}
	a, _ := anypb.New(m)
	r := &clientRig{t: t, loop: loop, secrets: &fakeSecrets{now: map[string]*tlsv3.Secret{}, watchers: map[string][]secret.OnChange{}}}
	r.client, err = wtls.NewClient("context", a, wtls.Options{Stats: stats.NewStore(loop), Prefix: "cluster.c.", Secrets: r.secrets, Scope: &scope{}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// exchange sends a line over a new connection and returns what comes back, and
// the connection's session; an error is why the connection failed.
func (r *clientRig) exchange(addr net.Addr, o wtls.ClientOptions) (answer string, session network.TLSInfo, failure string) {
	r.t.Helper()
	u := &user{done: make(chan struct{})}
	r.loop.Post(func() {
		to := network.IPAddress(netip.MustParseAddrPort(addr.String()))
		var err error
		u.c, err = network.Dial(r.loop, to, network.Address{}, nil, u, network.Options{Transport: r.client.Socket(r.loop, o), HalfClose: true})
		if err != nil {
			r.t.Error(err)
			return
		}
		u.c.BuildFilters([]network.FilterFactory{func(*network.ReadCallbacks) network.ReadFilter { return u }})
		b := r.loop.NewBuffer()
		b.AppendString("ping\n")
		u.c.Write(b, false) // before the handshake: it waits
	})
	select {
	case <-u.done:
	case <-time.After(10 * time.Second):
		r.t.Fatal("no end of the connection")
	}
	return u.got.String(), u.session, u.failure
}

type user struct {
	c       *network.Connection
	got     bytes.Buffer
	session network.TLSInfo
	failure string
	done    chan struct{}
}

func (u *user) OnNewConnection() network.FilterStatus { return network.Continue }

func (u *user) OnData(b *network.Buffer, end bool) network.FilterStatus {
	u.got.Write(b.Bytes())
	b.Reset()
	if end || strings.HasSuffix(u.got.String(), "\n") {
		u.c.Close(network.FlushWrite)
	}
	return network.StopIteration
}

func (u *user) OnEvent(ev network.ConnectionEvent) {
	if ev == network.Connected {
		return
	}
	u.failure = u.c.FailureReason()
	if u.c.Info != nil {
		u.session = u.c.Info.TLS
	}
	close(u.done)
}

func (u *user) OnAboveWriteBufferHighWatermark() {}
func (u *user) OnBelowWriteBufferLowWatermark()  {}

// echoServer answers each line with the SNI, the protocol and the client's
// name.
func echoServer(t testing.TB, c *tls.Config) net.Addr {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", c)
	if err != nil {
		t.Fatal(err)
	}
	tcprig.Serve(t, l, func(c net.Conn) {
		buf := make([]byte, 100)
		if _, err := io.ReadAtLeast(c, buf, 5); err != nil {
			return
		}
		cs := c.(*tls.Conn).ConnectionState()
		peer := ""
		if len(cs.PeerCertificates) > 0 {
			peer = cs.PeerCertificates[0].Subject.CommonName
		}
		io.WriteString(c, strings.Join([]string{cs.ServerName, cs.NegotiatedProtocol, peer}, " ")+"\n")
		io.Copy(io.Discard, c)
	})
	return l.Addr()
}

func TestClient(t *testing.T) {
	ca, other := testca.New(t, "root"), testca.New(t, "other")
	client := ca.Issue("client", testca.RSA) // whose signatures are made off the loop
	addr := echoServer(t, &tls.Config{Certificates: []tls.Certificate{ca.Issue("s", testca.DNS("a.example", "*.b.example")).TLS()},
		ClientAuth: tls.RequestClientCert, NextProtos: []string{"h2", "http/1.1", "foo"}})
	const tls13 = "tls_params: {tls_maximum_protocol_version: TLSv1_3}, "
	verified := "validation_context: {" + caYAML(ca) + "}"
	for _, tt := range []struct {
		name, context string
		o             wtls.ClientOptions
		want          string // an answer, or a part of the failure
	}{
		{"nothing asked", "{}", wtls.ClientOptions{}, "  \n"},
		{"SNI and certificate", "{sni: a.example, common_tls_context: {" + certYAML(client) + ", " + verified + "}}", wtls.ClientOptions{}, "a.example  client\n"},
		{"the same with TLS 1.3", "{sni: a.example, common_tls_context: {" + tls13 + certYAML(client) + ", " + verified + "}}", wtls.ClientOptions{}, "a.example  client\n"},
		{"protocols", "{common_tls_context: {alpn_protocols: [foo]}}", wtls.ClientOptions{Fallback: "h2"}, " foo \n"},
		{"the pool's protocols", "{}", wtls.ClientOptions{Fallback: "h2,http/1.1"}, " h2 \n"},
		{"other protocols", "{common_tls_context: {alpn_protocols: [foo]}}", wtls.ClientOptions{Protocols: "http/1.1"}, " http/1.1 \n"},
		{"SNI of the request", "{sni: a.example}", wtls.ClientOptions{ServerName: "x.b.example", SANs: "x.b.example"}, "x.b.example  \n"},
		{"name of the request", "{common_tls_context: {" + verified + "}}", wtls.ClientOptions{SANs: "y.example"}, "verify SAN list"},
		{"SNI of the host", "{sni: a.example, auto_host_sni: true, auto_sni_san_validation: true, common_tls_context: {" + verified + "}}", wtls.ClientOptions{Hostname: "h.b.example"}, "h.b.example  \n"},
		{"SNI that is not the certificate's", "{sni: z.example, auto_sni_san_validation: true, common_tls_context: {" + verified + "}}", wtls.ClientOptions{}, "verify SAN list"},
		{"other authority", "{common_tls_context: {validation_context: {" + caYAML(other) + "}}}", wtls.ClientOptions{}, "CERTIFICATE_VERIFY_FAILED"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newClientRig(t, tt.context)
			for range 2 { // the second resumes
				answer, session, failure := r.exchange(addr, tt.o)
				if answer != tt.want && (failure == "" || !strings.Contains(failure, tt.want)) {
					t.Fatalf("answer %q, failure %q", answer, failure)
				}
				if answer != "" && session == nil {
					t.Error("no session")
				}
			}
		})
	}
}

func TestClientWithoutItsSecret(t *testing.T) {
	ca := testca.New(t, "root")
	addr := echoServer(t, &tls.Config{Certificates: []tls.Certificate{ca.Issue("s", testca.DNS("a.example")).TLS()}})
	r := newClientRig(t, "{common_tls_context: {validation_context_sds_secret_config: {name: ca, sds_config: {ads: {}}}}}")
	if _, _, failure := r.exchange(addr, wtls.ClientOptions{}); failure != "TLS error: Secret is not supplied by SDS" {
		t.Errorf("failure %q", failure)
	}
	done := make(chan error)
	r.loop.Post(func() {
		done <- r.secrets.watchers["ca"][0]("secret", newSecret(t, "{name: ca, validation_context: {"+caYAML(ca)+"}}"))
	})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if answer, _, failure := r.exchange(addr, wtls.ClientOptions{}); answer != "  \n" {
		t.Errorf("answer %q, failure %q", answer, failure)
	}
}
