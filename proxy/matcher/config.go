// Fields that Envoy calls deprecated but obeys are obeyed here too.
//
//lint:file-ignore SA1019 see above

package matcher

import (
	"net/netip"

	xdscorev3 "github.com/cncf/xds/go/xds/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/http"
)

// NewString compiles a StringMatcher.
func NewString(p field.Path, c *matcherv3.StringMatcher, rx *Regexes) (String, error) {
	if err := field.Only(p, c, "exact", "prefix", "suffix", "contains", "safe_regex", "ignore_case"); err != nil {
		return String{}, err
	}
	m := String{fold: c.GetIgnoreCase()}
	switch k := c.GetMatchPattern().(type) {
	case *matcherv3.StringMatcher_Exact:
		m.kind, m.value = exact, k.Exact
	case *matcherv3.StringMatcher_Prefix:
		m.kind, m.value = prefix, k.Prefix
	case *matcherv3.StringMatcher_Suffix:
		m.kind, m.value = suffix, k.Suffix
	case *matcherv3.StringMatcher_Contains:
		m.kind, m.value = contains, k.Contains
	case *matcherv3.StringMatcher_SafeRegex:
		if m.fold {
			return String{}, p.Dot("ignore_case").Errorf("ignore_case has no effect for safe_regex")
		}
		return NewRegex(p.Dot("safe_regex"), k.SafeRegex, rx)
	default:
		return String{}, p.Errorf("a string matcher needs one of exact, prefix, suffix, contains, safe_regex")
	}
	if m.value == "" && m.kind != exact {
		return String{}, p.Errorf("the string to match must not be empty")
	}
	if m.fold {
		m.value = LowerASCII(m.value)
	}
	return m, nil
}

// NewRegex compiles a RegexMatcher to a String that matches whole values.
func NewRegex(p field.Path, c *matcherv3.RegexMatcher, rx *Regexes) (String, error) {
	limit, err := programLimit(p, c)
	if err != nil {
		return String{}, err
	}
	re, err := rx.fullMatch(c.GetRegex(), limit)
	if err != nil {
		return String{}, p.Dot("regex").Wrap(err)
	}
	return String{kind: regex, re: re}, nil
}

func programLimit(p field.Path, c *matcherv3.RegexMatcher) (int, error) {
	if err := field.Only(p, c, "google_re2", "regex"); err != nil {
		return 0, err
	}
	if c.GetRegex() == "" {
		return 0, p.Dot("regex").Errorf("the regular expression must not be empty")
	}
	if n := c.GetGoogleRe2().GetMaxProgramSize(); n != nil {
		return int(min(n.GetValue(), maxProgram)), nil
	}
	return maxProgram, nil
}

// NewSubstitution compiles a RegexMatchAndSubstitute.
func NewSubstitution(p field.Path, c *matcherv3.RegexMatchAndSubstitute, rx *Regexes) (*Substitution, error) {
	if err := field.Only(p, c, "pattern", "substitution"); err != nil {
		return nil, err
	}
	limit, err := programLimit(p.Dot("pattern"), c.GetPattern())
	if err != nil {
		return nil, err
	}
	re, err := rx.partial(c.GetPattern().GetRegex(), limit)
	if err != nil {
		return nil, p.Dot("pattern").Dot("regex").Wrap(err)
	}
	s, err := newSubstitution(re, c.GetSubstitution())
	return s, p.Dot("substitution").Wrap(err)
}

// NewHeaders compiles a list of HeaderMatchers.
func NewHeaders(p field.Path, cs []*routev3.HeaderMatcher, rx *Regexes) ([]Header, error) {
	if len(cs) == 0 {
		return nil, nil
	}
	out := make([]Header, len(cs))
	for i, c := range cs {
		var err error
		if out[i], err = NewHeader(p.Index(i), c, rx); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// NewHeader compiles a HeaderMatcher.
func NewHeader(p field.Path, c *routev3.HeaderMatcher, rx *Regexes) (Header, error) {
	if err := field.Only(p, c, "name", "invert_match", "treat_missing_header_as_empty", "exact_match", "safe_regex_match",
		"range_match", "present_match", "prefix_match", "suffix_match", "contains_match", "string_match"); err != nil {
		return Header{}, err
	}
	m := Header{name: LowerASCII(c.GetName()), kind: headerString, invert: c.GetInvertMatch(), missingAsEmpty: c.GetTreatMissingHeaderAsEmpty()}
	switch m.name {
	case "":
		return Header{}, p.Dot("name").Errorf("a header matcher needs a name")
	case "host":
		m.name = ":authority"
	}
	m.id = http.LookupID(m.name)
	var err error
	switch k := c.GetHeaderMatchSpecifier().(type) {
	case nil:
		m.kind, m.present = headerPresent, true
	case *routev3.HeaderMatcher_PresentMatch:
		m.kind, m.present = headerPresent, k.PresentMatch
	case *routev3.HeaderMatcher_RangeMatch:
		m.kind, m.start, m.end = headerRange, k.RangeMatch.GetStart(), k.RangeMatch.GetEnd()
	case *routev3.HeaderMatcher_StringMatch:
		m.str, err = NewString(p.Dot("string_match"), k.StringMatch, rx)
	// The older forms of string_match.
	case *routev3.HeaderMatcher_ExactMatch:
		m.str = String{kind: exact, value: k.ExactMatch}
	case *routev3.HeaderMatcher_PrefixMatch:
		m.str = String{kind: prefix, value: k.PrefixMatch}
	case *routev3.HeaderMatcher_SuffixMatch:
		m.str = String{kind: suffix, value: k.SuffixMatch}
	case *routev3.HeaderMatcher_ContainsMatch:
		m.str = String{kind: contains, value: k.ContainsMatch}
	case *routev3.HeaderMatcher_SafeRegexMatch:
		m.str, err = NewRegex(p.Dot("safe_regex_match"), k.SafeRegexMatch, rx)
	}
	return m, err
}

// NewQueryParameters compiles a list of QueryParameterMatchers.
func NewQueryParameters(p field.Path, cs []*routev3.QueryParameterMatcher, rx *Regexes) ([]QueryParameter, error) {
	if len(cs) == 0 {
		return nil, nil
	}
	out := make([]QueryParameter, len(cs))
	for i, c := range cs {
		if err := field.Only(p.Index(i), c, "name", "string_match", "present_match"); err != nil {
			return nil, err
		}
		m := QueryParameter{name: c.GetName(), anyValue: true, wantFound: true}
		if m.name == "" {
			return nil, p.Index(i).Dot("name").Errorf("a query parameter matcher needs a name")
		}
		switch k := c.GetQueryParameterMatchSpecifier().(type) {
		case *routev3.QueryParameterMatcher_PresentMatch:
			m.wantFound = k.PresentMatch
		case *routev3.QueryParameterMatcher_StringMatch:
			var err error
			m.anyValue = false
			if m.str, err = NewString(p.Index(i).Dot("string_match"), k.StringMatch, rx); err != nil {
				return nil, err
			}
		}
		out[i] = m
	}
	return out, nil
}

// NewCookies compiles a list of CookieMatchers.
func NewCookies(p field.Path, cs []*routev3.CookieMatcher, rx *Regexes) ([]Cookie, error) {
	if len(cs) == 0 {
		return nil, nil
	}
	out := make([]Cookie, len(cs))
	for i, c := range cs {
		if err := field.Only(p.Index(i), c, "name", "string_match", "invert_match"); err != nil {
			return nil, err
		}
		str, err := NewString(p.Index(i).Dot("string_match"), c.GetStringMatch(), rx)
		if err != nil {
			return nil, err
		}
		out[i] = Cookie{name: c.GetName(), str: str, invert: c.GetInvertMatch()}
	}
	return out, nil
}

// NewValue compiles a ValueMatcher.
func NewValue(p field.Path, c *matcherv3.ValueMatcher, rx *Regexes) (Value, error) {
	if err := field.Only(p, c, "null_match", "double_match", "string_match", "bool_match", "present_match", "list_match", "or_match"); err != nil {
		return Value{}, err
	}
	var err error
	switch k := c.GetMatchPattern().(type) {
	case *matcherv3.ValueMatcher_NullMatch_:
		return Value{kind: valueNull}, nil
	case *matcherv3.ValueMatcher_BoolMatch:
		return Value{kind: valueBool, want: k.BoolMatch}, nil
	case *matcherv3.ValueMatcher_PresentMatch:
		return Value{kind: valuePresent, want: k.PresentMatch}, nil
	case *matcherv3.ValueMatcher_DoubleMatch:
		if r := k.DoubleMatch.GetRange(); r != nil {
			return Value{kind: valueDoubleRange, start: r.GetStart(), end: r.GetEnd()}, nil
		}
		return Value{kind: valueDouble, start: k.DoubleMatch.GetExact()}, nil
	case *matcherv3.ValueMatcher_StringMatch:
		m := Value{kind: valueString}
		m.str, err = NewString(p.Dot("string_match"), k.StringMatch, rx)
		return m, err
	case *matcherv3.ValueMatcher_ListMatch:
		m := Value{kind: valueListOneOf, sub: make([]Value, 1)}
		m.sub[0], err = NewValue(p.Dot("list_match").Dot("one_of"), k.ListMatch.GetOneOf(), rx)
		return m, err
	case *matcherv3.ValueMatcher_OrMatch:
		m := Value{kind: valueOr, sub: make([]Value, len(k.OrMatch.GetValueMatchers()))}
		for i, c := range k.OrMatch.GetValueMatchers() {
			if m.sub[i], err = NewValue(p.Dot("or_match").Dot("value_matchers").Index(i), c, rx); err != nil {
				return m, err
			}
		}
		return m, nil
	}
	return Value{}, p.Errorf("a value matcher needs a pattern")
}

// NewMetadata compiles a MetadataMatcher.
func NewMetadata(p field.Path, c *matcherv3.MetadataMatcher, rx *Regexes) (Metadata, error) {
	if err := field.Only(p, c, "filter", "path", "value", "invert"); err != nil {
		return Metadata{}, err
	}
	m := Metadata{namespace: c.GetFilter(), invert: c.GetInvert()}
	if m.namespace == "" || len(c.GetPath()) == 0 {
		return m, p.Errorf("a metadata matcher needs filter and path")
	}
	for _, s := range c.GetPath() {
		m.path = append(m.path, s.GetKey())
	}
	var err error
	m.value, err = NewValue(p.Dot("value"), c.GetValue(), rx)
	return m, err
}

// NewFilterState compiles a FilterStateMatcher.
func NewFilterState(p field.Path, c *matcherv3.FilterStateMatcher, rx *Regexes) (FilterState, error) {
	if err := field.Only(p, c, "key", "string_match", "address_match"); err != nil {
		return FilterState{}, err
	}
	m := FilterState{key: c.GetKey()}
	if m.key == "" {
		return m, p.Dot("key").Errorf("a filter state matcher needs a key")
	}
	var err error
	switch k := c.GetMatcher().(type) {
	case *matcherv3.FilterStateMatcher_StringMatch:
		m.str, err = NewString(p.Dot("string_match"), k.StringMatch, rx)
	case *matcherv3.FilterStateMatcher_AddressMatch:
		m.invert = k.AddressMatch.GetInvertMatch()
		m.ranges, err = newRanges(p.Dot("address_match").Dot("ranges"), k.AddressMatch.GetRanges())
	default:
		err = p.Errorf("a filter state matcher needs string_match or address_match")
	}
	return m, err
}

// newRanges compiles CIDR ranges. The result is never nil.
func newRanges(p field.Path, cs []*xdscorev3.CidrRange) ([]netip.Prefix, error) {
	out := make([]netip.Prefix, len(cs))
	for i, c := range cs {
		var err error
		if out[i], err = Range(p.Index(i), c.GetAddressPrefix(), c.GetPrefixLen()); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Range compiles a CidrRange; as in Envoy it is one of no bits without a
// length, and a length longer than the address is the whole address.
func Range(p field.Path, address string, bits *wrapperspb.UInt32Value) (netip.Prefix, error) {
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Prefix{}, p.Dot("address_prefix").Wrap(err)
	}
	return netip.PrefixFrom(addr, min(int(bits.GetValue()), addr.BitLen())).Masked(), nil
}
