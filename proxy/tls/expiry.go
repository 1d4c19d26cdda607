package tls

import (
	"cmp"
	"crypto/x509"

	"github.com/weirproxy/weir/proxy/stats"
)

// expiryStats are those of one certificate, under "ssl.certificate.<name>.".
type expiryStats struct {
	Expiration stats.Gauge `stat:"expiration_unix_time_seconds"`
}

// What Envoy calls certificates, and trusted authorities, that are no secrets.
const (
	unnamedCert      = "unnamed_cert_e3b0c442"
	unnamedAuthority = "unnamed_ca_cert_e3b0c442"
)

// expiryGauges tell when a context's certificates expire. They belong to main.
type expiryGauges struct {
	o      Options
	byName map[string]*stats.Group[expiryStats]
}

func newExpiryGauges(o Options) *expiryGauges {
	g := &expiryGauges{o, map[string]*stats.Group[expiryStats]{}}
	o.Scope.OnClose(func() {
		for _, x := range g.byName {
			x.Close()
		}
	})
	return g
}

// set takes the certificates in, and of the trusted authorities the first, as
// Envoy does.
func (g *expiryGauges) set(s *secrets) {
	for _, c := range s.certs {
		g.setOne(cmp.Or(c.name, unnamedCert), c.Leaf)
	}
	if v := s.validation; v != nil && len(v.anchors) > 0 {
		g.setOne(cmp.Or(v.name, unnamedAuthority), v.anchors[0])
	}
}

func (g *expiryGauges) setOne(name string, c *x509.Certificate) {
	x := g.byName[name]
	if x == nil {
		x = stats.NewGroup[expiryStats](g.o.Stats, stats.Scope{Prefix: g.o.Prefix + "ssl.certificate." + name + "."})
		g.byName[name] = x
	}
	x.For(0).Expiration.Set(c.NotAfter.Unix())
}
