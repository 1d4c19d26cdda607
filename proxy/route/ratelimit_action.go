package route

import (
	"net/netip"
	"strings"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
)

// limitKind is what an action makes an entry of.
type limitKind uint8

const (
	limitSourceCluster limitKind = iota
	limitDestinationCluster
	limitRequestHeader
	limitQueryParameter
	limitRemoteAddress
	limitMaskedRemoteAddress
	limitGenericKey
	limitHeaderValueMatch
	limitQueryParameterValueMatch
	limitDynamicMetadata
	limitRouteMetadata
	limitRemoteAddressMatch
)

// limitAction makes one entry of a descriptor.
type limitAction struct {
	kind          limitKind
	key           string         // the entry's
	value         string         // of generic keys and matches
	format        ValueFormatter // instead of value when not nil
	otherwise     string         // default_value
	name          string         // of the header (lower case) or query parameter
	skipIfAbsent  bool           // leave the entry out instead of having no descriptor
	expect        bool           // expect_match; of addresses: not invert_match
	v4, v6        uint8          // mask lengths
	headers       []matcher.Header
	query         []matcher.QueryParameter
	ranges        []netip.Prefix
	metadataSpace string
	metadataPath  []string
}

// entry is the action's entry. One without a key is left out; ok is false when
// there can be no descriptor at all.
func (a *limitAction) entry(rq *LimitRequest) (e DescriptorEntry, ok bool) {
	h, info := rq.Format.RequestHeaders, rq.Format.Info
	switch a.kind {
	case limitSourceCluster:
		return DescriptorEntry{a.key, rq.ServiceCluster}, true
	case limitDestinationCluster:
		if rq.Route == nil || rq.Route.Forward() == nil {
			return e, false
		}
		return DescriptorEntry{a.key, rq.Route.Cluster(h)}, true
	case limitRequestHeader:
		v, found := h.GetName(a.name)
		return a.optional(v, found)
	case limitQueryParameter:
		v, found := matcher.QueryValue(h.Get(http.Path), a.name)
		return a.optional(percentDecoded(h, v), found && v != "")
	case limitRemoteAddress:
		addr := info.DownstreamRemote
		if !addr.IsValid() {
			return e, false
		}
		return DescriptorEntry{a.key, addressText(h, addr.Addr())}, true
	case limitMaskedRemoteAddress:
		return a.masked(rq)
	case limitGenericKey:
		return a.text(rq)
	case limitHeaderValueMatch:
		return a.matched(rq, matcher.MatchHeaders(a.headers, h))
	case limitQueryParameterValueMatch:
		all := true
		for i := range a.query {
			all = all && a.query[i].Match(h.Get(http.Path))
		}
		return a.matched(rq, all)
	case limitRemoteAddressMatch:
		return a.matched(rq, contains(a.ranges, info.DownstreamRemote.Addr().Unmap()))
	case limitRouteMetadata:
		if rq.Route == nil {
			return a.metadata(nil)
		}
		return a.metadata(rq.Route.Metadata())
	default:
		return a.metadata(info.Metadata)
	}
}

// optional is an entry of a value that a request may lack.
func (a *limitAction) optional(value string, found bool) (DescriptorEntry, bool) {
	if !found {
		return DescriptorEntry{}, a.skipIfAbsent
	}
	return DescriptorEntry{a.key, value}, true
}

// matched is the entry of a match that has to be as expected.
func (a *limitAction) matched(rq *LimitRequest, yes bool) (DescriptorEntry, bool) {
	if yes != a.expect {
		return DescriptorEntry{}, false
	}
	return a.text(rq)
}

// text is an entry of the configured value.
func (a *limitAction) text(rq *LimitRequest) (DescriptorEntry, bool) {
	value := a.value
	if a.format != nil {
		value = string(a.format.Append(nil, rq.Format))
		if value == "" && a.otherwise == "" {
			return DescriptorEntry{}, false
		}
	}
	if value == "" {
		value = a.otherwise
	}
	return DescriptorEntry{a.key, value}, true
}

func (a *limitAction) masked(rq *LimitRequest) (DescriptorEntry, bool) {
	addr := rq.Format.Info.DownstreamRemote
	if !addr.IsValid() {
		return DescriptorEntry{}, false
	}
	ip, bits := addr.Addr().Unmap(), int(a.v6)
	if ip.Is4() {
		bits = int(a.v4)
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return DescriptorEntry{}, false
	}
	h := rq.Format.RequestHeaders
	return DescriptorEntry{a.key, h.Concat(addressText(h, p.Addr()), "/", h.Int(int64(bits)))}, true
}

func (a *limitAction) metadata(m map[string]map[string]any) (DescriptorEntry, bool) {
	v, _ := matcher.LookupMetadata(m, a.metadataSpace, a.metadataPath)
	s, _ := v.(string)
	if s == "" {
		s = a.otherwise
	}
	return a.optional(s, s != "")
}

// addressText is an address in the request's memory.
func addressText(h allocator, a netip.Addr) string {
	var buf [48]byte
	text := a.Unmap().AppendTo(buf[:0])
	out := h.Alloc(len(text))
	copy(out, text)
	return stringOf(out)
}

func contains(ranges []netip.Prefix, a netip.Addr) bool {
	for _, r := range ranges {
		if r.Contains(a) {
			return true
		}
	}
	return false
}

// percentDecoded is s with its %XX decoded; broken ones stay as they are.
func percentDecoded(h allocator, s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	out := h.Alloc(len(s))[:0]
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			hi, okHi := unhex(s[i+1])
			lo, okLo := unhex(s[i+2])
			if okHi && okLo {
				out = append(out, hi<<4|lo)
				i += 2
				continue
			}
		}
		out = append(out, s[i])
	}
	return stringOf(out)
}

func unhex(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10, true
	}
	return 0, false
}
