package tls

import (
	"crypto/tls"
	"os"

	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/weirproxy/weir/internal/field"
)

// keyLog opens the file that secrets are logged to, in NSS's format. Writing
// to it may hold up a loop, which who debugs will not mind.
func keyLog(p field.Path, k *tlsv3.TlsKeyLog, c *tls.Config, o Options) error {
	if k == nil {
		return nil
	}
	if err := field.Only(p, k, "path"); err != nil {
		return err
	}
	f, err := os.OpenFile(k.GetPath(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return p.Dot("path").Wrap(err)
	}
	o.Scope.OnClose(func() { f.Close() })
	c.KeyLogWriter = f
	return nil
}
