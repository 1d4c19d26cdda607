package jwtauthn

import (
	"cmp"
	"iter"
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

// place is a location and the providers that look there.
type place struct {
	at   location
	from []*provider
}

// found is a token's text and where it was.
type found struct {
	text string
	place
}

// placesOf are where tokens of the providers are looked for: headers, then query
// parameters, then cookies, each by their names.
func placesOf(providers []*provider) (places []place) {
	for _, p := range providers {
		for _, at := range p.locations {
			if i := slices.IndexFunc(places, func(x place) bool { return x.at == at }); i >= 0 {
				places[i].from = append(places[i].from, p)
			} else {
				places = append(places, place{at: at, from: []*provider{p}})
			}
		}
	}
	slices.SortStableFunc(places, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.at.kind, b.at.kind), cmp.Compare(a.at.name+a.at.prefix, b.at.name+b.at.prefix))
	})
	return places
}

// extract finds the tokens that lie in the places, in the order in which Envoy
// verifies them: backwards.
func extract(h *http.HeaderMap, places []place) (tokens []found) {
	for _, x := range places {
		for text := range x.at.texts(h) {
			tokens = append(tokens, found{text, x})
		}
	}
	slices.Reverse(tokens)
	return tokens
}

// texts are the tokens there: one in each line of a header, else one at most.
// An empty query parameter is one, too.
func (l location) texts(h *http.HeaderMap) iter.Seq[string] {
	return func(yield func(string) bool) {
		if l.kind != inHeader {
			if text, ok := l.find(h); ok {
				yield(text)
			}
			return
		}
		for _, value := range h.Values(l.name) {
			_, value, ok := strings.Cut(value, l.prefix)
			if text := tokenIn(value, l.prefix != ""); ok && text != "" && !yield(text) {
				return
			}
		}
	}
}

// find is the token in a query parameter or a cookie.
func (l location) find(h *http.HeaderMap) (text string, ok bool) {
	switch l.kind {
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
