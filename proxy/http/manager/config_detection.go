package manager

import (
	"net/netip"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	earlyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/early_header_mutation/header_mutation/v3"
	customheaderv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/original_ip_detection/custom_header/v3"
	xffv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/original_ip_detection/xff/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/route"
	"github.com/weirproxy/weir/xds/protos"
)

// buildDetection compiles how the client's address is found when it is not the
// connection's.
func (c *Config) buildDetection(p field.Path, m *hcmv3.HttpConnectionManager) error {
	xs := m.OriginalIpDetectionExtensions
	if len(xs) == 0 {
		c.detectors = []detector{xffDetector{hops: int(m.XffNumTrustedHops), skipAppend: true}}
		return nil
	}
	p = p.Dot("original_ip_detection_extensions")
	if m.GetUseRemoteAddress().GetValue() || m.XffNumTrustedHops > 0 {
		return p.Errorf("these and use_remote_address or xff_num_trusted_hops may not be mixed")
	}
	for i, x := range xs {
		p := p.Index(i).Dot("typed_config")
		var d detector
		var err error
		switch name := protos.TypeName(x.GetTypedConfig()); name {
		case "envoy.extensions.http.original_ip_detection.xff.v3.XffConfig":
			m := &xffv3.XffConfig{}
			if err = protos.Unpack(p, x.GetTypedConfig(), m); err == nil {
				d, err = newXFFDetector(p, m)
			}
		case "envoy.extensions.http.original_ip_detection.custom_header.v3.CustomHeaderConfig":
			m := &customheaderv3.CustomHeaderConfig{}
			if err = protos.Unpack(p, x.GetTypedConfig(), m); err == nil {
				d = newHeaderDetector(m)
			}
		default:
			err = p.Errorf("weir has no original IP detection %q", name)
		}
		if err != nil {
			return err
		}
		c.detectors = append(c.detectors, d)
	}
	return nil
}

func newXFFDetector(p field.Path, m *xffv3.XffConfig) (detector, error) {
	d := xffDetector{hops: int(m.XffNumTrustedHops), skipAppend: m.SkipXffAppend == nil || m.SkipXffAppend.Value}
	if m.XffTrustedCidrs == nil {
		return d, nil
	}
	if m.XffNumTrustedHops > 0 {
		return nil, p.Errorf("xff_num_trusted_hops and xff_trusted_cidrs may not be mixed")
	}
	var err error
	d.trusted, err = prefixes(p.Dot("xff_trusted_cidrs.cidrs"), m.XffTrustedCidrs.Cidrs)
	return d, err
}

func newHeaderDetector(m *customheaderv3.CustomHeaderConfig) detector {
	d := headerDetector{name: matcher.LowerASCII(m.HeaderName), trusted: m.AllowExtensionToSetAddressAsTrusted}
	if m.RejectWithStatus != nil {
		if d.reject = int(m.RejectWithStatus.Code); d.reject < 400 {
			d.reject = 403
		}
	}
	return d
}

func prefixes(p field.Path, cs []*corev3.CidrRange) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for i, r := range cs {
		prefix, err := matcher.Range(p.Index(i), r.AddressPrefix, r.PrefixLen)
		if err != nil {
			return nil, err
		}
		out = append(out, prefix)
	}
	return out, nil
}

// buildEarlyMutations compiles early_header_mutation_extensions.
func (c *Config) buildEarlyMutations(p field.Path, m *hcmv3.HttpConnectionManager) error {
	for i, x := range m.EarlyHeaderMutationExtensions {
		p := p.Dot("early_header_mutation_extensions").Index(i).Dot("typed_config")
		if name := protos.TypeName(x.GetTypedConfig()); name != "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation" {
			return p.Errorf("weir has no early header mutation %q", name)
		}
		hm := &earlyv3.HeaderMutation{}
		if err := protos.Unpack(p, x.GetTypedConfig(), hm); err != nil {
			return err
		}
		ms, err := route.CompileMutations(p.Dot("mutations"), hm.Mutations, CompileFormat)
		if err != nil {
			return err
		}
		c.earlyMutations = append(c.earlyMutations, ms)
	}
	return nil
}
