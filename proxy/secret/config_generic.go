package secret

import (
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/datasource"
)

// Source gives the generic secrets of one listener, cluster or route
// configuration. The zero Source has none.
type Source struct {
	provider Provider
	scope    Scope
}

// NewSource makes a source of what p has. What scope names waits for the
// secrets; nil: nobody does.
func NewSource(p Provider, scope Scope) Source { return Source{p, scope} }

// Generic follows the generic secret that c, which is at p, names. A filter
// factory closes it when it is closed itself.
func (s Source) Generic(p field.Path, c *tlsv3.SdsSecretConfig) (*Generic, error) {
	if s.provider == nil {
		return nil, p.Errorf("there are no secrets here")
	}
	g := &Generic{}
	settled := func() {}
	answered := false
	cancel, err := s.provider.Watch(p, c, GenericSecret, func(p field.Path, secret *tlsv3.Secret) error {
		if secret != nil {
			content, err := read(p, secret)
			if err != nil {
				return err
			}
			g.content.Store(content)
		}
		answered = true
		settled()
		return nil
	})
	if err != nil {
		return nil, err
	}
	g.cancel = cancel
	if s.scope != nil {
		s.scope.OnClose(g.Close)
		if !answered {
			settled = s.scope.WaitFor("secret " + c.GetName())
		}
	}
	return g, nil
}

// read is a generic secret's content.
func read(p field.Path, secret *tlsv3.Secret) (*content, error) {
	m := secret.GetGenericSecret()
	if m == nil {
		return nil, p.Errorf("secret %q is not a generic_secret", secret.GetName())
	}
	p = p.Dot("generic_secret")
	c := &content{}
	var err error
	if m.GetSecret() != nil {
		if c.value, err = datasource.ReadWatched(p.Dot("secret"), m.GetSecret(), datasource.Limit); err != nil {
			return nil, err
		}
	}
	for name, d := range m.GetSecrets() {
		value, err := datasource.ReadWatched(p.Dot("secrets").Key(name), d, datasource.Limit)
		if err != nil {
			return nil, err
		}
		if c.entries == nil {
			c.entries = map[string]string{}
		}
		c.entries[name] = value
	}
	return c, nil
}
