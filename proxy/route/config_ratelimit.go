package route

import (
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	metadatav3 "github.com/envoyproxy/go-control-plane/envoy/type/metadata/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/matcher"
)

func (k *compiler) rateLimits(p field.Path, cs []*routev3.RateLimit) ([]RateLimit, error) {
	var out []RateLimit
	for i, c := range cs {
		lp := p.Dot("rate_limits").Index(i)
		if err := field.Only(lp, c, "stage", "disable_key", "actions"); err != nil {
			return nil, err
		}
		l := RateLimit{Stage: c.GetStage().GetValue(), DisableKey: c.GetDisableKey()}
		for j, a := range c.GetActions() {
			action, err := k.rateLimitAction(lp.Dot("actions").Index(j), a)
			if err != nil {
				return nil, err
			}
			l.Actions = append(l.Actions, action)
		}
		out = append(out, l)
	}
	return out, nil
}

func (k *compiler) rateLimitAction(p field.Path, c *routev3.RateLimit_Action) (a RateLimitAction, err error) {
	switch s := c.GetActionSpecifier().(type) {
	case *routev3.RateLimit_Action_SourceCluster_:
		return RateLimitAction{Kind: LimitSourceCluster, Key: "source_cluster"}, nil
	case *routev3.RateLimit_Action_DestinationCluster_:
		return RateLimitAction{Kind: LimitDestinationCluster, Key: "destination_cluster"}, nil
	case *routev3.RateLimit_Action_RemoteAddress_:
		return RateLimitAction{Kind: LimitRemoteAddress, Key: "remote_address"}, nil
	case *routev3.RateLimit_Action_RequestHeaders_:
		h := s.RequestHeaders
		return RateLimitAction{Kind: LimitRequestHeader, Key: h.GetDescriptorKey(), Name: headerName(h.GetHeaderName()), SkipIfAbsent: h.GetSkipIfAbsent()}, nil
	case *routev3.RateLimit_Action_QueryParameters_:
		q := s.QueryParameters
		return RateLimitAction{Kind: LimitQueryParameter, Key: q.GetDescriptorKey(), Name: q.GetQueryParameterName(), SkipIfAbsent: q.GetSkipIfAbsent()}, nil
	case *routev3.RateLimit_Action_GenericKey_:
		g := s.GenericKey
		a = RateLimitAction{Kind: LimitGenericKey, Key: or(g.GetDescriptorKey(), "generic_key"), Value: g.GetDescriptorValue(), Default: g.GetDefaultValue()}
		return a, field.Only(p.Dot("generic_key"), g, "descriptor_value", "descriptor_key", "default_value")
	case *routev3.RateLimit_Action_MaskedRemoteAddress_:
		m := s.MaskedRemoteAddress
		return RateLimitAction{Kind: LimitMaskedRemoteAddress, Key: "masked_remote_address", V4: mask(m.GetV4PrefixMaskLen(), 32), V6: mask(m.GetV6PrefixMaskLen(), 128)}, nil
	case *routev3.RateLimit_Action_HeaderValueMatch_:
		m := s.HeaderValueMatch
		a = RateLimitAction{Kind: LimitHeaderValueMatch, Key: or(m.GetDescriptorKey(), "header_match"), Value: m.GetDescriptorValue(), Default: m.GetDefaultValue(), ExpectMatch: m.GetExpectMatch() == nil || m.GetExpectMatch().GetValue()}
		a.Headers, err = matcher.NewHeaders(p.Dot("header_value_match").Dot("headers"), m.GetHeaders(), k.regexes)
		return a, err
	case *routev3.RateLimit_Action_QueryParameterValueMatch_:
		m := s.QueryParameterValueMatch
		a = RateLimitAction{Kind: LimitQueryParameterValueMatch, Key: or(m.GetDescriptorKey(), "query_match"), Value: m.GetDescriptorValue(), Default: m.GetDefaultValue(), ExpectMatch: m.GetExpectMatch() == nil || m.GetExpectMatch().GetValue()}
		a.Query, err = matcher.NewQueryParameters(p.Dot("query_parameter_value_match").Dot("query_parameters"), m.GetQueryParameters(), k.regexes)
		return a, err
	case *routev3.RateLimit_Action_Metadata:
		m := s.Metadata
		a = RateLimitAction{Kind: LimitDynamicMetadata, Key: m.GetDescriptorKey(), Default: m.GetDefaultValue(), SkipIfAbsent: m.GetSkipIfAbsent()}
		if m.GetSource() == routev3.RateLimit_Action_MetaData_ROUTE_ENTRY {
			a.Kind = LimitRouteMetadata
		}
		a.MetadataSpace, a.MetadataPath = metadataKey(m.GetMetadataKey())
		return a, nil
	}
	err = field.Only(p, c)
	if err == nil {
		err = p.Errorf("a rate limit action needs a specifier")
	}
	return a, err
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

func or(s, def string) string {
	if s == "" {
		return def
	}
	return s
}
