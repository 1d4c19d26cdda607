package route

import (
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

// HashPolicy is the compiled hash_policy list of a route.
type HashPolicy struct{ methods []hashMethod }

type hashKind uint8

const (
	hashHeader hashKind = iota
	hashCookie
	hashSourceIP
	hashQuery
	hashFilterState
	hashNothing
)

type hashMethod struct {
	kind     hashKind
	terminal bool
	name     string // of the header (lower case), cookie, parameter, object
	rewrite  *matcher.Substitution
	cookie   *cookie
}

// cookie is how a missing cookie is made.
type cookie struct {
	make       bool // ttl is given: make one
	ttl        time.Duration
	path       string
	attributes string // "; name=value" of each
}

// CookieSetter takes a set-cookie line that the response must carry. The line
// lies in the request headers' memory.
type CookieSetter interface{ SetCookie(line string) }

// Key is the request's hash, by which consistent load balancers choose; ok is
// false when no policy yields one. Cookies that the policies ask to be made
// are given to set; nil makes none.
func (p *HashPolicy) Key(h *http.HeaderMap, info *streaminfo.Info, set CookieSetter) (key uint64, ok bool) {
	for i := range p.methods {
		m := &p.methods[i]
		if n, found := m.hash(h, info, set); found {
			// Rotating keeps two equal policies from cancelling each other.
			if ok {
				key = bits.RotateLeft64(key, 1)
			}
			key, ok = key^n, true
		}
		if ok && m.terminal {
			break
		}
	}
	return key, ok
}

func (m *hashMethod) hash(h *http.HeaderMap, info *streaminfo.Info, set CookieSetter) (uint64, bool) {
	switch m.kind {
	case hashHeader:
		return m.hashHeader(h)
	case hashCookie:
		value, _ := matcher.CookieValue(h, m.name)
		if value == "" {
			if !m.cookie.make || set == nil {
				return 0, false
			}
			value = m.makeCookie(h, info, set)
		}
		return xxhash.Sum64String(value), true
	case hashSourceIP:
		addr := info.DownstreamRemote
		if !addr.IsValid() {
			return 0, false
		}
		var buf [64]byte
		return xxhash.Sum64(addr.Addr().AppendTo(buf[:0])), true
	case hashQuery:
		value, found := matcher.QueryValue(h.Get(http.Path), m.name)
		return xxhash.Sum64String(value), found
	default:
		switch o := info.FilterState[m.name].(type) {
		case string:
			return xxhash.Sum64String(o), true
		case interface{ Hash() (uint64, bool) }:
			return o.Hash()
		}
		return 0, false
	}
}

// hashHeader hashes the values of all lines, sorted, so that their order does
// not matter.
func (m *hashMethod) hashHeader(h *http.HeaderMap) (uint64, bool) {
	var buf [8]string
	values := buf[:0]
	for l := range h.All {
		if l.Name == m.name {
			values = append(values, l.Value)
		}
	}
	if len(values) == 0 {
		return 0, false
	}
	if m.rewrite != nil {
		for i, v := range values {
			values[i] = m.rewrite.Replace(v)
		}
	}
	if len(values) == 1 {
		return xxhash.Sum64String(values[0]), true
	}
	slices.Sort(values)
	var key uint64
	for _, v := range values {
		var d xxhash.Digest
		d.ResetWithSeed(key)
		_, _ = d.WriteString(v)
		key = d.Sum64()
	}
	return key, true
}

// makeCookie makes the value that Envoy makes, from the connection's two
// addresses, and its set-cookie line.
func (m *hashMethod) makeCookie(h *http.HeaderMap, info *streaminfo.Info, set CookieSetter) string {
	var buf [160]byte
	both := appendAddress(appendAddress(buf[:0], info.DownstreamRemote), info.DownstreamLocal)
	value := hex(h.Alloc(16), xxhash.Sum64(both))
	age := ""
	if s := int64(m.cookie.ttl / time.Second); s != 0 {
		age = h.Concat("; Max-Age=", h.Int(s))
	}
	path := ""
	if m.cookie.path != "" {
		path = h.Concat("; Path=", m.cookie.path)
	}
	set.SetCookie(h.Concat(m.name, "=\"", value, "\"", age, path, m.cookie.attributes, "; HttpOnly"))
	return value
}

func appendAddress(dst []byte, a network.Address) []byte {
	if a.IsPipe() || !a.IsValid() {
		return append(dst, a.Path...)
	}
	return a.AddrPort.AppendTo(dst)
}

func hex(dst []byte, n uint64) string {
	for i := range dst {
		dst[i] = "0123456789abcdef"[n>>(60-4*i)&15]
	}
	return stringOf(dst)
}

func cookieAttribute(b *strings.Builder, name, value string) {
	b.WriteString("; " + name)
	if value != "" {
		b.WriteString("=" + value)
	}
}
