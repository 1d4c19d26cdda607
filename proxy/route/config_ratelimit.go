// Fields that Envoy calls deprecated but obeys are obeyed here too.
//
//lint:file-ignore SA1019 see above

package route

import (
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	metadatav3 "github.com/envoyproxy/go-control-plane/envoy/type/metadata/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/matcher"
)

// CompileRateLimits compiles the rate_limits of a filter's own configuration,
// whose place is p. format may be nil when values have no commands.
func CompileRateLimits(p field.Path, cs []*routev3.RateLimit, format func(string) (ValueFormatter, error)) ([]RateLimit, error) {
	k := &compiler{Options: Options{CompileFormat: format}, regexes: matcher.NewRegexes()}
	var out []RateLimit
	for i, c := range cs { // stage and disable_key are for those of routes
		l, err := k.rateLimit(p.Index(i), c, "actions", "limit", "hits_addend", "apply_on_stream_done", "x_ratelimit_option")
		if err != nil {
			return nil, err
		}
		if err := k.hitsAddend(p.Index(i), c.GetHitsAddend(), l); err != nil {
			return nil, err
		}
		out = append(out, *l)
	}
	return out, nil
}

// rateLimits compiles those of a virtual host or route, whose hits_addend Envoy
// does not heed.
func (k *compiler) rateLimits(p field.Path, cs []*routev3.RateLimit) ([]RateLimit, error) {
	var out []RateLimit
	for i, c := range cs {
		l, err := k.rateLimit(p.Dot("rate_limits").Index(i), c, "stage", "disable_key", "actions", "limit", "hits_addend", "apply_on_stream_done", "x_ratelimit_option")
		if err != nil {
			return nil, err
		}
		out = append(out, *l)
	}
	return out, nil
}

func (k *compiler) rateLimit(p field.Path, c *routev3.RateLimit, fields ...string) (*RateLimit, error) {
	if err := field.Only(p, c, fields...); err != nil {
		return nil, err
	}
	l := &RateLimit{
		Stage: c.GetStage().GetValue(), DisableKey: c.GetDisableKey(), ApplyOnStreamDone: c.GetApplyOnStreamDone(),
		XRateLimit: XRateLimit(c.GetXRatelimitOption()),
	}
	switch o := c.GetLimit().GetOverrideSpecifier().(type) {
	case *routev3.RateLimit_Override_DynamicMetadata_:
		l.override = &limitOverride{}
		l.override.namespace, l.override.path = metadataKey(o.DynamicMetadata.GetMetadataKey())
	case *routev3.RateLimit_Override_RateLimit:
		l.override = &limitOverride{requests: o.RateLimit.GetRequestsPerUnit(), unit: LimitUnit(o.RateLimit.GetUnit())}
	}
	for j, a := range c.GetActions() {
		action, err := k.limitAction(p.Dot("actions").Index(j), a)
		if err != nil {
			return nil, err
		}
		l.actions = append(l.actions, action)
	}
	return l, nil
}

func (k *compiler) hitsAddend(p field.Path, c *routev3.RateLimit_HitsAddend, l *RateLimit) (err error) {
	if c == nil {
		return nil
	}
	p = p.Dot("hits_addend")
	if err := field.Only(p, c, "number", "format"); err != nil {
		return err
	}
	if (c.GetNumber() == nil) == (c.GetFormat() == "") {
		return p.Errorf("needs either number or format")
	}
	l.hits = &hitsAddend{number: c.GetNumber().GetValue()}
	if c.GetFormat() != "" {
		_, l.hits.format, err = k.format(c.GetFormat())
		if err == nil && l.hits.format == nil {
			err = p.Dot("format").Errorf("%q has no substitution command", c.GetFormat())
		}
	}
	return p.Dot("format").Wrap(err)
}

func (k *compiler) limitAction(p field.Path, c *routev3.RateLimit_Action) (a limitAction, err error) {
	switch s := c.GetActionSpecifier().(type) {
	case *routev3.RateLimit_Action_SourceCluster_:
		return limitAction{kind: limitSourceCluster, key: "source_cluster"}, nil
	case *routev3.RateLimit_Action_DestinationCluster_:
		return limitAction{kind: limitDestinationCluster, key: "destination_cluster"}, nil
	case *routev3.RateLimit_Action_RemoteAddress_:
		return limitAction{kind: limitRemoteAddress, key: "remote_address"}, nil
	case *routev3.RateLimit_Action_RequestHeaders_:
		h := s.RequestHeaders
		return limitAction{kind: limitRequestHeader, key: h.GetDescriptorKey(), name: headerName(h.GetHeaderName()), skipIfAbsent: h.GetSkipIfAbsent()}, nil
	case *routev3.RateLimit_Action_QueryParameters_:
		q := s.QueryParameters
		return limitAction{kind: limitQueryParameter, key: q.GetDescriptorKey(), name: q.GetQueryParameterName(), skipIfAbsent: q.GetSkipIfAbsent()}, nil
	case *routev3.RateLimit_Action_GenericKey_:
		g := s.GenericKey
		return limitAction{kind: limitGenericKey, key: or(g.GetDescriptorKey(), "generic_key"), value: g.GetDescriptorValue(), otherwise: g.GetDefaultValue()}, nil
	case *routev3.RateLimit_Action_MaskedRemoteAddress_:
		m := s.MaskedRemoteAddress
		return limitAction{kind: limitMaskedRemoteAddress, key: "masked_remote_address", v4: mask(m.GetV4PrefixMaskLen(), 32), v6: mask(m.GetV6PrefixMaskLen(), 128)}, nil
	case *routev3.RateLimit_Action_HeaderValueMatch_:
		m := s.HeaderValueMatch
		a = limitAction{kind: limitHeaderValueMatch, key: or(m.GetDescriptorKey(), "header_match"), value: m.GetDescriptorValue(), otherwise: m.GetDefaultValue(), expect: isOrUnset(m.GetExpectMatch())}
		a.headers, err = matcher.NewHeaders(p.Dot("header_value_match").Dot("headers"), m.GetHeaders(), k.regexes)
		return a, err
	case *routev3.RateLimit_Action_QueryParameterValueMatch_:
		m := s.QueryParameterValueMatch
		a = limitAction{kind: limitQueryParameterValueMatch, key: or(m.GetDescriptorKey(), "query_match"), value: m.GetDescriptorValue(), otherwise: m.GetDefaultValue(), expect: isOrUnset(m.GetExpectMatch())}
		a.query, err = matcher.NewQueryParameters(p.Dot("query_parameter_value_match").Dot("query_parameters"), m.GetQueryParameters(), k.regexes)
		return a, err
	case *routev3.RateLimit_Action_DynamicMetadata:
		m := s.DynamicMetadata
		a = limitAction{kind: limitDynamicMetadata, key: m.GetDescriptorKey(), otherwise: m.GetDefaultValue()}
		a.metadataSpace, a.metadataPath = metadataKey(m.GetMetadataKey())
		return a, nil
	case *routev3.RateLimit_Action_Metadata:
		m := s.Metadata
		a = limitAction{kind: limitDynamicMetadata, key: m.GetDescriptorKey(), otherwise: m.GetDefaultValue(), skipIfAbsent: m.GetSkipIfAbsent()}
		if m.GetSource() == routev3.RateLimit_Action_MetaData_ROUTE_ENTRY {
			a.kind = limitRouteMetadata
		}
		a.metadataSpace, a.metadataPath = metadataKey(m.GetMetadataKey())
		return a, nil
	case *routev3.RateLimit_Action_RemoteAddressMatch_:
		return k.addressMatch(p.Dot("remote_address_match"), s.RemoteAddressMatch)
	case *routev3.RateLimit_Action_Extension:
		return a, p.Dot("extension").Errorf("weir has no rate limit descriptor %s", s.Extension.GetTypedConfig().GetTypeUrl())
	}
	return a, p.Errorf("a rate limit action needs a specifier")
}

func (k *compiler) addressMatch(p field.Path, m *routev3.RateLimit_Action_RemoteAddressMatch) (a limitAction, err error) {
	a = limitAction{
		kind: limitRemoteAddressMatch, key: or(m.GetDescriptorKey(), "remote_address_match"), otherwise: m.GetDefaultValue(),
		expect: !m.GetAddressMatcher().GetInvertMatch(),
	}
	for i, r := range m.GetAddressMatcher().GetRanges() {
		prefix, err := matcher.Range(p.Dot("address_matcher.ranges").Index(i), r.GetAddressPrefix(), r.GetPrefixLen())
		if err != nil {
			return a, err
		}
		a.ranges = append(a.ranges, prefix)
	}
	a.value, a.format, err = k.format(m.GetDescriptorValue())
	return a, p.Dot("descriptor_value").Wrap(err)
}

func metadataKey(c *metadatav3.MetadataKey) (namespace string, path []string) {
	for _, s := range c.GetPath() {
		path = append(path, s.GetKey())
	}
	return c.GetKey(), path
}

func mask(v *wrapperspb.UInt32Value, most uint32) uint8 {
	if v == nil {
		return uint8(most)
	}
	return uint8(min(v.GetValue(), most))
}

func isOrUnset(b *wrapperspb.BoolValue) bool { return b == nil || b.GetValue() }

func or(s, def string) string {
	if s == "" {
		return def
	}
	return s
}
