package proxyprotocol

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
)

// Stats are at proxy_proto.[<stat_prefix>.]
type Stats struct {
	NotFoundAllowed    stats.Counter `stat:"not_found_allowed"`
	NotFoundDisallowed stats.Counter `stat:"not_found_disallowed"`
	V1                 versionStats  `stat:"versions.v1."`
	V2                 versionStats  `stat:"versions.v2."`
}

type versionStats struct {
	Found      stats.Counter `stat:"found"`
	Disallowed stats.Counter `stat:"disallowed"`
	Error      stats.Counter `stat:"error"`
}

type listenerStats struct {
	Error stats.Counter `stat:"downstream_cx_proxy_proto_error"`
}

type filter struct {
	inState  bool // values go to the filter state, not to the metadata
	optional bool // allow_requests_without_proxy_protocol
	want     versions
	rules    map[byte][]rule
	pass     *passThrough // nil: nothing
	stats    *stats.Group[Stats]
	errors   *stats.Group[listenerStats]
}

// rule puts a TLV's value into dynamic metadata.
type rule struct {
	namespace, key string
	base64         bool
}

type passThrough struct {
	all   bool
	kinds [256]bool
}

// AsksForData implements listener.DataFilter.
func (f *filter) AsksForData() {}

// Inspect implements listener.Filter.
func (f *filter) Inspect(s *listener.Socket) listener.Status {
	p := s.Peek(listener.PeekMax)
	st := f.stats.For(s.Loop().Worker)
	h, err := parse(p, f.want)
	switch err {
	case nil:
	case errIncomplete:
		if len(p) < listener.PeekMax {
			return listener.WaitForData
		}
		return f.malformed(s, st, h)
	case errNone:
		return f.notFound(s, st, p)
	default:
		return f.malformed(s, st, h)
	}
	st.version(h.version).Found.Inc()
	f.apply(s, &h) // before the bytes that it points into are gone
	if !s.Consume(h.size) {
		return listener.Close
	}
	return listener.Continue
}

func (s *Stats) version(v int) *versionStats {
	if v == 1 {
		return &s.V1
	}
	return &s.V2
}

func (f *filter) malformed(s *listener.Socket, st *Stats, h header) listener.Status {
	st.version(h.version).Error.Inc()
	f.errors.For(s.Loop().Worker).Error.Inc()
	return listener.Close
}

// notFound handles a connection without a header of the versions wanted.
func (f *filter) notFound(s *listener.Socket, st *Stats, p []byte) listener.Status {
	if f.optional {
		st.NotFoundAllowed.Inc()
		return listener.Continue
	}
	// Which one is refused is worth knowing.
	switch {
	case strings.HasPrefix(string(p), signature1):
		st.V1.Disallowed.Inc()
	case strings.HasPrefix(string(p), signature2):
		st.V2.Disallowed.Inc()
	default:
		st.NotFoundDisallowed.Inc()
	}
	f.errors.For(s.Loop().Worker).Error.Inc()
	return listener.Close
}

func (f *filter) apply(s *listener.Socket, h *header) {
	info := s.Info()
	if !h.local {
		s.Remote = network.IPAddress(h.src)
		if h.dst != s.Local.AddrPort {
			s.RestoreLocal(network.IPAddress(h.dst))
		}
	}
	o := network.ProxyHeader{Source: s.Remote.AddrPort, Destination: s.Local.AddrPort}
	var found values
	for kind, value := range h.TLVs {
		for _, r := range f.rules[kind] {
			switch text := r.text(value); {
			case !f.inState:
				info.SetMetadata(r.namespace, r.key, text)
			case found == nil:
				found = values{r.key: text}
			default:
				found[r.key] = text
			}
		}
		if f.pass != nil && (f.pass.all || f.pass.kinds[kind]) {
			o.TLVs = append(o.TLVs, network.TLV{Type: kind, Value: append([]byte(nil), value...)})
		}
	}
	if found != nil {
		info.SetFilterState(valuesKey, found)
	}
	info.SetFilterState(network.ProxyHeaderKey, &o)
}

// text is a value as it is told.
func (r *rule) text(value []byte) string {
	if r.base64 {
		return base64.StdEncoding.EncodeToString(value)
	}
	return sanitize(value)
}

// valuesKey is the filter state with the values, where tlv_location asks for it.
const valuesKey = "envoy.network.proxy_protocol.tlv"

// values are the header's values by their rules' keys, a
// streaminfo.FilterStateObject.
type values map[string]string

// String implements streaminfo.FilterStateObject.
func (v values) String() string {
	b, _ := json.Marshal(map[string]string(v))
	return string(b)
}

// Field implements streaminfo.FilterStateObject.
func (v values) Field(name string) (string, bool) {
	text, ok := v[name]
	return text, ok
}

// sanitize replaces each byte that is not part of valid UTF-8 by '!'.
func sanitize(p []byte) string {
	if utf8.Valid(p) {
		return string(p)
	}
	var b strings.Builder
	for len(p) > 0 {
		r, n := utf8.DecodeRune(p)
		if r == utf8.RuneError && n == 1 {
			b.WriteByte('!')
		} else {
			b.Write(p[:n])
		}
		p = p[n:]
	}
	return b.String()
}
