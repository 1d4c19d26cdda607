package proxyprotocol

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	proxyprotocolv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/proxy_protocol/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/stats"
)

// TypeURL is the type of the filter's configuration.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol"

// defaultNamespace is where values go when a rule names none.
const defaultNamespace = "envoy.filters.listener.proxy_protocol"

// Factory makes the filter's factories.
func Factory() listener.FilterFactory { return listener.FilterFrom(compile) }

func compile(path field.Path, p *proxyprotocolv3.ProxyProtocol, ctx *listener.FactoryContext) (listener.Filter, error) {
	if err := field.Only(path, p, "rules", "allow_requests_without_proxy_protocol", "pass_through_tlvs", "disallowed_versions", "stat_prefix", "tlv_location"); err != nil {
		return nil, err
	}
	f := &filter{optional: p.GetAllowRequestsWithoutProxyProtocol(), want: versions{true, true}, rules: map[byte][]rule{},
		inState: p.GetTlvLocation() == proxyprotocolv3.ProxyProtocol_FILTER_STATE}
	for _, v := range p.GetDisallowedVersions() {
		switch v {
		case corev3.ProxyProtocolConfig_V1:
			f.want.v1 = false
		case corev3.ProxyProtocolConfig_V2:
			f.want.v2 = false
		}
	}
	if f.want == (versions{}) {
		return nil, path.Dot("disallowed_versions").Errorf("no version of the protocol is left")
	}
	for i, r := range p.GetRules() {
		if err := f.addRule(path.Dot("rules").Index(i), r); err != nil {
			return nil, err
		}
	}
	if t := p.GetPassThroughTlvs(); t != nil {
		f.pass = &passThrough{all: t.GetMatchType() == corev3.ProxyProtocolPassThroughTLVs_INCLUDE_ALL}
		for i, kind := range t.GetTlvType() {
			if kind > 255 {
				return nil, path.Dot("pass_through_tlvs").Dot("tlv_type").Index(i).Errorf("%d is not a TLV type (0 to 255)", kind)
			}
			f.pass.kinds[kind] = true
		}
	}
	prefix := "proxy_proto."
	if p.GetStatPrefix() != "" {
		prefix += p.GetStatPrefix() + "."
	}
	f.stats = stats.NewGroup[Stats](ctx.Stats, stats.Scope{Prefix: prefix})
	f.errors = stats.NewGroup[listenerStats](ctx.Stats, stats.Scope{Prefix: ctx.StatPrefix})
	ctx.OnClose(f.stats.Close)
	ctx.OnClose(f.errors.Close)
	return f, nil
}

func (f *filter) addRule(path field.Path, p *proxyprotocolv3.ProxyProtocol_Rule) error {
	if err := field.Only(path, p, "tlv_type", "on_tlv_present"); err != nil {
		return err
	}
	kv := p.GetOnTlvPresent()
	if err := field.Only(path.Dot("on_tlv_present"), kv, "metadata_namespace", "key", "value_string_encoding"); err != nil {
		return err
	}
	r := rule{namespace: kv.GetMetadataNamespace(), key: kv.GetKey(), base64: kv.GetValueStringEncoding() == proxyprotocolv3.ProxyProtocol_KeyValuePair_BASE64}
	if r.namespace == "" {
		r.namespace = defaultNamespace
	}
	kind := byte(p.GetTlvType()) // below 256 by the proto's rule
	f.rules[kind] = append(f.rules[kind], r)
	return nil
}
