package manager

import (
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/matcher/tree"
	"github.com/weirproxy/weir/xds/protos"
)

// clientCert compiles what x-forwarded-client-cert says.
func (c *Config) clientCert(p field.Path, m *hcmv3.HttpConnectionManager, o Options) (err error) {
	if c.xfcc, err = newXFCC(p, m.GetForwardClientCertDetails(), m.GetSetCurrentClientCertDetails()); err != nil {
		return err
	}
	if m.GetForwardClientCertMatcher() == nil {
		return nil
	}
	c.xfccTree, err = tree.Compile(p.Dot("forward_client_cert_matcher"), m.GetForwardClientCertMatcher(), tree.Options[*xfccPolicy]{
		Context: tree.Streams, KeepMatching: true, Runtime: o.Runtime,
		Action: func(p field.Path, _ string, config *anypb.Any) (*xfccPolicy, error) {
			m := &hcmv3.HttpConnectionManager_ForwardClientCertConfig{}
			if err := protos.Unpack(p, config, m); err != nil {
				return nil, err
			}
			return newXFCC(p, m.GetForwardClientCertDetails(), m.GetSetCurrentClientCertDetails())
		},
	})
	return err
}

func newXFCC(p field.Path, mode hcmv3.HttpConnectionManager_ForwardClientCertDetails, d *hcmv3.HttpConnectionManager_SetCurrentClientCertDetails) (*xfccPolicy, error) {
	x := &xfccPolicy{mode: xfccMode(mode)}
	x.details = xfccDetails{cert: d.GetCert(), chain: d.GetChain(), subject: d.GetSubject().GetValue(), uri: d.GetUri(), dns: d.GetDns(), issuer: d.GetIssuer()}
	return x, field.Only(p.Dot("set_current_client_cert_details"), d, "subject", "cert", "chain", "dns", "uri", "issuer")
}
