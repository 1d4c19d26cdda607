package tree

import (
	"net/netip"
	"strings"

	celexpr "cel.dev/expr"
	xdscorev3 "github.com/cncf/xds/go/xds/core/v3"
	xdsmatcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	xdsv3 "github.com/cncf/xds/go/xds/type/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	environmentv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/common_inputs/environment_variable/v3"
	networkv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/common_inputs/network/v3"
	hashingv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/input_matchers/consistent_hashing/v3"
	ipv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/input_matchers/ip/v3"
	metadatav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/input_matchers/metadata/v3"
	fractionv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/input_matchers/runtime_fraction/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	exprpb "google.golang.org/genproto/googleapis/api/expr/v1alpha1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/cel"
	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/xds/protos"
)

// plainInputs are the inputs without settings, by the type of their
// configuration.
var plainInputs = map[string]input{
	"envoy.extensions.matching.common_inputs.network.v3.DestinationIPInput":       destinationIP,
	"envoy.extensions.matching.common_inputs.network.v3.DestinationPortInput":     destinationPort,
	"envoy.extensions.matching.common_inputs.network.v3.SourceIPInput":            sourceIP,
	"envoy.extensions.matching.common_inputs.network.v3.SourcePortInput":          sourcePort,
	"envoy.extensions.matching.common_inputs.network.v3.DirectSourceIPInput":      directSourceIP,
	"envoy.extensions.matching.common_inputs.network.v3.SourceTypeInput":          sourceType,
	"envoy.extensions.matching.common_inputs.network.v3.ServerNameInput":          serverName,
	"envoy.extensions.matching.common_inputs.network.v3.TransportProtocolInput":   transportProtocol,
	"envoy.extensions.matching.common_inputs.network.v3.ApplicationProtocolInput": applicationProtocol,
	"envoy.extensions.matching.common_inputs.ssl.v3.UriSanInput":                  uriSAN,
	"envoy.extensions.matching.common_inputs.ssl.v3.DnsSanInput":                  dnsSAN,
	"envoy.extensions.matching.common_inputs.ssl.v3.SubjectInput":                 subject,
	"envoy.type.matcher.v3.HttpResponseStatusCodeMatchInput":                      statusInput,
	"envoy.type.matcher.v3.HttpResponseStatusCodeClassMatchInput":                 statusClassInput,
	"envoy.type.matcher.v3.HttpResponseLocalReplyMatchInput":                      localReplyInput,
	celInputType: celInput,
}

func (c *compiler) input(p field.Path, x *xdscorev3.TypedExtensionConfig) (input, error) {
	p, config := extension(p, x)
	name := protos.TypeName(config)
	switch contexts, known := inputContexts[name]; {
	case !known:
		return nil, p.Errorf("weir has no matching input %q", name)
	case contexts&c.context == 0:
		return nil, p.Errorf("%s can't be read here", name)
	}
	if in, ok := plainInputs[name]; ok {
		return in, nil
	}
	switch name {
	case "envoy.extensions.matching.common_inputs.network.v3.FilterStateInput":
		m, err := protos.UnpackAs[*networkv3.FilterStateInput](p, config)
		return filterStateInput(m.GetKey(), m.GetField()), err
	case "envoy.extensions.matching.common_inputs.network.v3.DynamicMetadataInput":
		m, err := protos.UnpackAs[*networkv3.DynamicMetadataInput](p, config)
		var path []string
		for _, s := range m.GetPath() {
			path = append(path, s.GetKey())
		}
		return metadataInput(m.GetFilter(), path), err
	case "envoy.extensions.matching.common_inputs.environment_variable.v3.Config":
		m, err := protos.UnpackAs[*environmentv3.Config](p, config)
		return environment(m.GetName()), err
	}
	return httpInput(p, name, config)
}

func httpInput(p field.Path, name string, config *anypb.Any) (input, error) {
	switch name {
	case "envoy.type.matcher.v3.HttpRequestHeaderMatchInput":
		return headerOf[*matcherv3.HttpRequestHeaderMatchInput](p, config, requestHeaders)
	case "envoy.type.matcher.v3.HttpRequestTrailerMatchInput":
		return headerOf[*matcherv3.HttpRequestTrailerMatchInput](p, config, requestTrailers)
	case "envoy.type.matcher.v3.HttpResponseHeaderMatchInput":
		return headerOf[*matcherv3.HttpResponseHeaderMatchInput](p, config, responseHeaders)
	case "envoy.type.matcher.v3.HttpResponseTrailerMatchInput":
		return headerOf[*matcherv3.HttpResponseTrailerMatchInput](p, config, responseTrailers)
	case "envoy.type.matcher.v3.HttpRequestQueryParamMatchInput":
		m, err := protos.UnpackAs[*matcherv3.HttpRequestQueryParamMatchInput](p, config)
		return queryInput(m.GetQueryParam()), err
	}
	return nil, p.Errorf("weir has no matching input %q", name)
}

func headerOf[T interface {
	proto.Message
	GetHeaderName() string
}](p field.Path, config *anypb.Any, of func(*Data) *http.HeaderMap) (input, error) {
	m, err := protos.UnpackAs[T](p, config)
	if err != nil {
		return nil, err
	}
	return headerInput(of, matcher.LowerASCII(m.GetHeaderName())), nil
}

// custom compiles an input matcher.
func (c *compiler) custom(p field.Path, x *xdscorev3.TypedExtensionConfig) (test, error) {
	p, config := extension(p, x)
	switch name := protos.TypeName(config); name {
	case "envoy.extensions.matching.input_matchers.ip.v3.Ip":
		m, err := protos.UnpackAs[*ipv3.Ip](p, config)
		if err != nil {
			return nil, err
		}
		ranges, err := envoyRanges(p.Dot("cidr_ranges"), m.GetCidrRanges())
		var failed *stats.SharedCounter
		if c.stats != nil && err == nil {
			failed = c.stats.Counter(m.GetStatPrefix() + ".ip_parsing_failed")
		}
		return ipTest(ranges, failed), err
	case "envoy.extensions.matching.input_matchers.metadata.v3.Metadata":
		m, err := protos.UnpackAs[*metadatav3.Metadata](p, config)
		if err != nil {
			return nil, err
		}
		v, err := matcher.NewValue(p.Dot("value"), m.GetValue(), c.regexes)
		return metadataTest(v, m.GetInvert()), err
	case "envoy.extensions.matching.input_matchers.consistent_hashing.v3.ConsistentHashing":
		m, err := protos.UnpackAs[*hashingv3.ConsistentHashing](p, config)
		switch {
		case err != nil:
		case m.GetModulo() == 0:
			err = p.Dot("modulo").Errorf("must be greater than 0")
		case m.GetThreshold() > m.GetModulo():
			err = p.Dot("threshold").Errorf("%d is above modulo, %d", m.GetThreshold(), m.GetModulo())
		}
		return hashTest(uint64(m.GetThreshold()), uint64(m.GetModulo()), m.GetSeed()), err
	case "envoy.extensions.matching.input_matchers.runtime_fraction.v3.RuntimeFraction":
		m, err := protos.UnpackAs[*fractionv3.RuntimeFraction](p, config)
		if err != nil {
			return nil, err
		}
		share, err := fraction.NewPercent(p.Dot("runtime_fraction"), m.GetRuntimeFraction(), fraction.Of(100, 100), c.runtime)
		return fractionTest(share, m.GetSeed()), err
	case "xds.type.matcher.v3.CelMatcher":
		m, err := protos.UnpackAs[*xdsmatcherv3.CelMatcher](p, config)
		if err != nil {
			return nil, err
		}
		return celTest(p.Dot("expr_match"), m.GetExprMatch())
	default:
		return nil, p.Errorf("weir has no input matcher %q", name)
	}
}

// celInputType is the type of the input that CEL matchers go with.
const celInputType = "xds.type.matcher.v3.HttpAttributesCelMatchInput"

func celTest(p field.Path, m *xdsv3.CelExpression) (test, error) {
	if err := field.Only(p, m, "parsed_expr", "checked_expr", "cel_expr_parsed", "cel_expr_checked"); err != nil {
		return nil, err
	}
	expr, err := celExpr(m)
	if err != nil || expr == nil {
		return nil, p.Errorf("needs cel_expr_parsed, cel_expr_checked, parsed_expr or checked_expr")
	}
	program, err := cel.CompileParsed(expr)
	return func(d *Data, _ value) bool { return d.Holds(program) }, p.Wrap(err)
}

// celExpr is the expression of one of the ways to have it; nil for none. What
// was found out when it was checked is not needed.
func celExpr(m *xdsv3.CelExpression) (*exprpb.Expr, error) {
	switch {
	case m.GetCelExprParsed() != nil:
		return celSame(m.GetCelExprParsed().GetExpr())
	case m.GetCelExprChecked() != nil:
		return celSame(m.GetCelExprChecked().GetExpr())
	}
	//lint:ignore SA1019 Envoy still takes it
	if old := m.GetParsedExpr(); old != nil {
		return old.GetExpr(), nil
	}
	//lint:ignore SA1019 Envoy still takes it
	return m.GetCheckedExpr().GetExpr(), nil
}

// celSame turns cel.expr.Expr into its older copy, which is the same on the
// wire.
func celSame(m *celexpr.Expr) (*exprpb.Expr, error) {
	same := &exprpb.Expr{}
	b, err := proto.Marshal(m)
	if err != nil {
		return nil, err
	}
	return same, proto.Unmarshal(b, same)
}

// customTree compiles a matcher over a map of its own kind.
func (c *compiler) customTree(p field.Path, x *xdscorev3.TypedExtensionConfig, in input, none *onMatch) (node, error) {
	p, config := extension(p, x)
	switch name := protos.TypeName(config); name {
	case "xds.type.matcher.v3.IPMatcher":
		m, err := protos.UnpackAs[*xdsmatcherv3.IPMatcher](p, config)
		if err != nil {
			return nil, err
		}
		return c.ipMap(p.Dot("range_matchers"), m.GetRangeMatchers(), in, none)
	case "xds.type.matcher.v3.ServerNameMatcher":
		m, err := protos.UnpackAs[*xdsmatcherv3.ServerNameMatcher](p, config)
		if err != nil {
			return nil, err
		}
		return c.domainMap(p.Dot("domain_matchers"), m.GetDomainMatchers(), in, none)
	default:
		return nil, p.Errorf("weir has no custom matcher %q", name)
	}
}

func (c *compiler) ipMap(p field.Path, ms []*xdsmatcherv3.IPMatcher_IPRangeMatcher, in input, none *onMatch) (node, error) {
	out := &ipMap{in: in, none: none}
	for i, m := range ms {
		if m.GetOnMatch() == nil {
			return nil, p.Index(i).Dot("on_match").Errorf("is required")
		}
		then, err := c.onMatch(p.Index(i).Dot("on_match"), m.GetOnMatch())
		if err != nil {
			return nil, err
		}
		for j, r := range m.GetRanges() {
			prefix, err := matcher.Range(p.Index(i).Dot("ranges").Index(j), r.GetAddressPrefix(), r.GetPrefixLen())
			if err != nil {
				return nil, err
			}
			out.ranges = append(out.ranges, ipRange{prefix, m.GetExclusive(), then})
		}
	}
	out.sort()
	return out, nil
}

func (c *compiler) domainMap(p field.Path, ms []*xdsmatcherv3.ServerNameMatcher_DomainMatcher, in input, none *onMatch) (node, error) {
	out := &domainMap{in: in, exact: map[string]*onMatch{}, wildcards: map[string]*onMatch{}, none: none}
	for i, m := range ms {
		then, err := c.onMatch(p.Index(i).Dot("on_match"), m.GetOnMatch())
		if err != nil {
			return nil, err
		}
		for j, domain := range m.GetDomains() {
			twice := false
			switch rest, wildcard := strings.CutPrefix(domain, "*"); {
			case domain == "" || rest == ".":
				return nil, p.Index(i).Dot("domains").Index(j).Errorf("is empty")
			case domain == "*":
				twice, out.any = out.any != nil, then
			case wildcard && strings.HasPrefix(rest, ".") && !strings.Contains(rest, "*"):
				twice, out.wildcards[rest] = out.wildcards[rest] != nil, then
			case strings.Contains(domain, "*"):
				return nil, p.Index(i).Dot("domains").Index(j).Errorf("%q: a wildcard stands for whole labels at the start", domain)
			default:
				twice, out.exact[domain] = out.exact[domain] != nil, then
			}
			if twice {
				return nil, p.Index(i).Dot("domains").Index(j).Errorf("%q is there twice", domain)
			}
		}
	}
	return out, nil
}

func envoyRanges(p field.Path, cs []*corev3.CidrRange) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for i, c := range cs {
		r, err := matcher.Range(p.Index(i), c.GetAddressPrefix(), c.GetPrefixLen())
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}
