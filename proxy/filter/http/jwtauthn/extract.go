package jwtauthn

import (
	"net/url"
	"slices"
	"strings"

	"github.com/weirproxy/weir/proxy/http"
)

// location is where a provider's tokens are looked for.
type location struct {
	kind   locationKind
	name   string // of the header (lower case), query parameter or cookie
	prefix string // before the token in a header
}

type locationKind uint8

const (
	inHeader locationKind = iota
	inParam
	inCookie
)

// defaultLocations are those of providers that name none.
var defaultLocations = []location{{kind: inHeader, name: "authorization", prefix: "Bearer "}, {kind: inParam, name: "access_token"}}

// found is a token's text and where it was.
type found struct {
	text string
	at   location
	from []*provider // those that look there
}

// extract finds the tokens that the providers look for: those in headers
// first, then query parameters, then cookies.
func extract(h *http.HeaderMap, providers []*provider) (tokens []found) {
	for kind := inHeader; kind <= inCookie; kind++ {
		for _, p := range providers {
			for _, at := range p.locations {
				if at.kind != kind {
					continue
				}
				if i := slices.IndexFunc(tokens, func(f found) bool { return f.at == at }); i >= 0 {
					tokens[i].from = append(tokens[i].from, p)
				} else if text, ok := at.find(h); ok {
					tokens = append(tokens, found{text, at, []*provider{p}})
				}
			}
		}
	}
	return tokens
}

// find is the token there; an empty query parameter is one, too.
func (l location) find(h *http.HeaderMap) (text string, ok bool) {
	switch l.kind {
	case inHeader:
		value, _ := h.Joined(l.name)
		i := strings.Index(value, l.prefix)
		if i < 0 {
			return "", false
		}
		text = tokenIn(value[i+len(l.prefix):], l.prefix != "")
		return text, text != ""
	case inParam:
		_, query, _ := strings.Cut(h.Get(http.Path), "?")
		for part := range strings.SplitSeq(query, "&") {
			if name, value, _ := strings.Cut(part, "="); name == l.name {
				if text, err := url.QueryUnescape(value); err == nil {
					return strings.Clone(text), true
				}
			}
		}
	case inCookie:
		for _, line := range h.Values("cookie") {
			for part := range strings.SplitSeq(line, ";") {
				if name, value, _ := strings.Cut(strings.TrimSpace(part), "="); name == l.name {
					value = strings.Trim(value, `"`)
					return strings.Clone(value), value != ""
				}
			}
		}
	}
	return "", false
}

// tokenIn is the token in what follows a header's prefix. Behind one that is
// not empty, what comes before a token is overlooked, as in Envoy.
func tokenIn(value string, behind bool) string {
	if behind {
		value = strings.TrimLeftFunc(value, func(r rune) bool { return !isTokenChar(r) })
	}
	return strings.Clone(value)
}

func isTokenChar(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.'
}

// remove takes a token out of the request.
func (l location) remove(h *http.HeaderMap) {
	switch l.kind {
	case inHeader:
		h.RemoveName(l.name)
	case inParam:
		path, query, _ := strings.Cut(h.Get(http.Path), "?")
		var kept []string
		for part := range strings.SplitSeq(query, "&") {
			if name, _, _ := strings.Cut(part, "="); name != l.name {
				kept = append(kept, part)
			}
		}
		if len(kept) > 0 {
			path += "?" + strings.Join(kept, "&")
		}
		h.Set(http.Path, h.Own(path))
	}
}
