package http1

import "github.com/weirproxy/weir/proxy/http"

// Envoy's bounds of what a connection field may name.
const (
	maxNominated = 10
	maxTE        = 256
)

// removeNominated removes the fields that the request's connection field
// names, which were meant for this hop only (RFC 9110 section 7.6.1). Naming
// what the proxy itself writes for the upstream is refused, as Envoy does.
func removeNominated(h *http.HeaderMap) *http.CodecError {
	list, n, removed := h.Get(http.Connection), 0, false
	for rest := list; rest != ""; {
		var t string
		t, rest = nextToken(rest)
		if n++; n >= maxNominated {
			return errConnection
		}
		name := lowerName(h, t)
		switch id := http.LookupID(name); id {
		case http.Upgrade, http.HTTP2Settings, http.KeepAlive:
			continue
		case http.XForwardedFor, http.XForwardedHost, http.XForwardedProto:
			return errConnection
		case http.TE:
			te := h.Get(http.TE)
			if len(te) > maxTE {
				return errConnection
			}
			if hasToken(te, "trailers") {
				h.Set(http.TE, "trailers")
			} else {
				h.Remove(http.TE)
			}
			removed = true
			continue
		}
		if name == "close" || name == "" {
			continue
		}
		if name[0] == ':' {
			return errConnection
		}
		removed = true
		if name != "connection" {
			h.RemoveName(name)
		}
	}
	if removed {
		keepTokens(h, list)
	}
	return nil
}

// keepTokens leaves of a connection field what concerns this hop.
func keepTokens(h *http.HeaderMap, list string) {
	kept := ""
	for list != "" {
		var t string
		t, list = nextToken(list)
		if !equalFold(t, "close") && !equalFold(t, "keep-alive") && !equalFold(t, "upgrade") && !equalFold(t, "http2-settings") {
			continue
		}
		if kept != "" {
			t = h.Concat(kept, ",", t)
		}
		kept = t
	}
	if kept == "" {
		h.Remove(http.Connection)
	} else {
		h.Set(http.Connection, kept)
	}
}

// dropUpgrade takes out an upgrade that is not done here, so that it
// can't be smuggled upstream.
func dropUpgrade(h *http.HeaderMap) {
	h.Remove(http.Upgrade)
	h.Remove(http.HTTP2Settings)
	kept := ""
	for list := h.Get(http.Connection); list != ""; {
		var t string
		t, list = nextToken(list)
		if t == "" || equalFold(t, "upgrade") || equalFold(t, "http2-settings") {
			continue
		}
		if kept != "" {
			t = h.Concat(kept, ",", t)
		}
		kept = t
	}
	if kept == "" {
		h.Remove(http.Connection)
	} else {
		h.Set(http.Connection, kept)
	}
}

// lowerName is t in lower case, in h's memory when it is not so already.
func lowerName(h *http.HeaderMap, t string) string {
	for i := range len(t) {
		if t[i] != lower(t[i]) {
			p := h.Alloc(len(t))
			for j := range len(t) {
				p[j] = lower(t[j])
			}
			return text(p)
		}
	}
	return t
}
