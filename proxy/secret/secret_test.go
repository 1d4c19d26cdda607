package secret

import (
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/weirproxy/weir/internal/field"
)

// fake is a provider and a scope that remember what they are asked.
type fake struct {
	change    OnChange
	waiting   bool
	cancelled int
	closers   []func()
}

func (f *fake) Watch(_ field.Path, _ *tlsv3.SdsSecretConfig, _ Kind, on OnChange) (func(), error) {
	f.change = on
	return func() { f.cancelled++ }, nil
}

func (f *fake) WaitFor(string) func() { f.waiting = true; return func() { f.waiting = false } }
func (f *fake) OnClose(g func())      { f.closers = append(f.closers, g) }

func text(s string) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: s}}
}

func generic(m *tlsv3.GenericSecret) *tlsv3.Secret {
	return &tlsv3.Secret{Name: "s", Type: &tlsv3.Secret_GenericSecret{GenericSecret: m}}
}

func TestGeneric(t *testing.T) {
	f := &fake{}
	g, err := NewSource(f, f).Generic("p", &tlsv3.SdsSecretConfig{Name: "s"})
	if err != nil || !f.waiting || g.Value() != "" {
		t.Fatalf("%v, waiting %v, value %q", err, f.waiting, g.Value())
	}
	if err := f.change("s", generic(&tlsv3.GenericSecret{Secret: text("one"), Secrets: map[string]*corev3.DataSource{"k": text("v")}})); err != nil || f.waiting {
		t.Errorf("%v, waiting %v", err, f.waiting)
	}
	if g.Value() != "one" || g.Entry("k") != "v" || g.Entry("other") != "" {
		t.Errorf("%q, %q", g.Value(), g.Entry("k"))
	}
	for _, bad := range []*tlsv3.Secret{{Name: "s"}, generic(&tlsv3.GenericSecret{Secret: &corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: "/does/not/exist"}}})} {
		if err := f.change("s", bad); err == nil || g.Value() != "one" {
			t.Errorf("%v is taken: %q", bad, g.Value())
		}
	}
	g.Close()
	for _, c := range f.closers {
		c()
	}
	if f.cancelled != 1 {
		t.Errorf("cancelled %d times", f.cancelled)
	}
}

// TestTooLate: who waits for a secret goes on without it.
func TestTooLate(t *testing.T) {
	f := &fake{}
	g, err := NewSource(f, f).Generic("p", &tlsv3.SdsSecretConfig{Name: "s"})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.change("s", nil); err != nil || f.waiting || g.Value() != "" {
		t.Errorf("%v, waiting %v", err, f.waiting)
	}
	if _, err := (Source{}).Generic("p", nil); err == nil {
		t.Error("a source of nothing gives something")
	}
}
