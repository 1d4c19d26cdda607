package admin

import (
	"strings"
	"testing"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

func inlineString(s string) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: s}}
}

func inlineBytes(s string) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{InlineBytes: []byte(s)}}
}

func mustAny(t *testing.T, m proto.Message) *anypb.Any {
	t.Helper()
	a, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestRedact(t *testing.T) {
	secret := &tlsv3.Secret{Name: "s", Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
		CertificateChain: inlineString("CERT"),
		PrivateKey:       inlineBytes("KEY-1"),
		Password:         inlineString("KEY-2"),
	}}}
	tickets := &tlsv3.Secret{Type: &tlsv3.Secret_SessionTicketKeys{SessionTicketKeys: &tlsv3.TlsSessionTicketKeys{Keys: []*corev3.DataSource{inlineBytes("KEY-3"), inlineString("KEY-4")}}}}
	dump := &adminv3.SecretsConfigDump{
		StaticSecrets: []*adminv3.SecretsConfigDump_StaticSecret{{Name: "s", Secret: mustAny(t, secret)}, {Secret: mustAny(t, tickets)}},
		DynamicActiveSecrets: []*adminv3.SecretsConfigDump_DynamicSecret{{Name: "d", Secret: mustAny(t, &tlsv3.Secret{
			Type: &tlsv3.Secret_GenericSecret{GenericSecret: &tlsv3.GenericSecret{Secret: inlineString("KEY-5")}},
		})}, {Name: "unknown", Secret: &anypb.Any{TypeUrl: "type.googleapis.com/no.such.Type", Value: []byte("KEY-6")}}},
	}
	Redact(dump)
	text, err := protojson.Marshal(dump)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "KEY") || strings.Contains(string(text), "S0VZ") { // and in base64
		t.Errorf("a secret is left: %s", text)
	}
	for _, want := range []string{"CERT", "no.such.Type", "[redacted]", "W3JlZGFjdGVkXQ=="} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is missing: %s", want, text)
		}
	}
}

func TestConfigDumpRedactsACopy(t *testing.T) {
	secret := &tlsv3.Secret{Name: "s", Type: &tlsv3.Secret_GenericSecret{GenericSecret: &tlsv3.GenericSecret{Secret: inlineString("KEY")}}}
	dump := &adminv3.SecretsConfigDump{StaticSecrets: []*adminv3.SecretsConfigDump_StaticSecret{{Name: "s", Secret: mustAny(t, secret)}}}
	before := proto.Clone(dump)
	sources := testSources(t)
	sources.ConfigDump = dumpOf(dump)
	base := serve(t, sources)
	for _, page := range []string{"/config_dump", "/config_dump?resource=static_secrets", "/config_dump?mask=static_secrets", "/config_dump?resource=static_secrets&mask=secret.generic_secret"} {
		if _, body := do(t, "GET", base+page); strings.Contains(body, "KEY") || !strings.Contains(body, "[redacted]") {
			t.Errorf("%s shows the secret: %s", page, body)
		}
	}
	if !proto.Equal(dump, before) {
		t.Error("the source's message was changed")
	}
}
