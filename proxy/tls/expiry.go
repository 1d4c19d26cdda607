package tls

import (
	"github.com/weirproxy/weir/proxy/stats"
)

// expiryStats are those of one certificate, under "ssl.certificate.<name>.".
type expiryStats struct {
	Expiration stats.Gauge `stat:"expiration_unix_time_seconds"`
}

// unnamedCert is what Envoy calls a certificate that is not a secret.
const unnamedCert = "unnamed_cert_e3b0c442"

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

func (g *expiryGauges) set(certs []*Certificate) {
	for _, c := range certs {
		name := c.name
		if name == "" {
			name = unnamedCert
		}
		x := g.byName[name]
		if x == nil {
			x = stats.NewGroup[expiryStats](g.o.Stats, stats.Scope{Prefix: g.o.Prefix + "ssl.certificate." + name + "."})
			g.byName[name] = x
		}
		x.For(0).Expiration.Set(c.Leaf.NotAfter.Unix())
	}
}
