package manager

import (
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/weirproxy/weir/internal/field"
)

// clientCert compiles what x-forwarded-client-cert says.
func (c *Config) clientCert(p field.Path, m *hcmv3.HttpConnectionManager) error {
	c.xfcc = xfccMode(m.GetForwardClientCertDetails())
	d := m.GetSetCurrentClientCertDetails()
	c.xfccDetails = xfccDetails{cert: d.GetCert(), chain: d.GetChain(), subject: d.GetSubject().GetValue(), uri: d.GetUri(), dns: d.GetDns(), issuer: d.GetIssuer()}
	return field.Only(p.Dot("set_current_client_cert_details"), d, "subject", "cert", "chain", "dns", "uri", "issuer")
}
