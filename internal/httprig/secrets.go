package httprig

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/secret"
)

// secrets are the rig's: static ones that tests can change. It belongs to main.
type secrets struct {
	now      map[string]*tlsv3.Secret
	watchers map[string][]secret.OnChange
}

// SetSecret gives a generic secret a value, and those who have asked for it.
func (r *Rig) SetSecret(name, value string) {
	r.t.Helper()
	s := &tlsv3.Secret{Name: name, Type: &tlsv3.Secret_GenericSecret{GenericSecret: &tlsv3.GenericSecret{
		Secret: &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: value}}}}}
	var err error
	r.Main(func() {
		r.secrets.now[name] = s
		for _, f := range r.secrets.watchers[name] {
			if e := f("secret", s); e != nil {
				err = e
			}
		}
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// Watch implements secret.Provider.
func (x *secrets) Watch(p field.Path, c *tlsv3.SdsSecretConfig, _ secret.Kind, f secret.OnChange) (func(), error) {
	x.watchers[c.GetName()] = append(x.watchers[c.GetName()], f)
	if s := x.now[c.GetName()]; s != nil {
		return func() {}, f("secret", s)
	}
	if c.GetSdsConfig() == nil {
		return nil, p.Dot("name").Errorf("no secret %q", c.GetName())
	}
	return func() {}, f("secret", nil)
}
