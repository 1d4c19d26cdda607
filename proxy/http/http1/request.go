package http1

import (
	"strings"

	"github.com/weirproxy/weir/proxy/http"
)

// parseRequest fills h from a whole request head, which lies in h's memory.
// http10 tells the version.
func parseRequest(h *http.HeaderMap, raw []byte, s *Settings) (http10 bool, err *http.CodecError) {
	p := 0
	for p < len(raw) && p <= maxMethod && tokenLower[raw[p]] != 0 {
		p++
	}
	if p == 0 || p > maxMethod || raw[p] != ' ' {
		return false, errStartLine
	}
	method := text(raw[:p])
	target := visible(raw[p+1:])
	if p += 1 + len(target); target == "" || p == len(raw) || raw[p] != ' ' {
		return false, errStartLine
	}
	p++
	http10, p, err = parseVersion(raw, p)
	if err != nil {
		return false, err
	}
	if http10 && !s.AcceptHTTP10 {
		return false, errVersion
	}
	if !s.AllowCustomMethods && !knownMethod(method) {
		return false, errMethod
	}
	h.Add(http.Method, method)
	var authority string
	if target[0] == '/' && method != "CONNECT" || target == "*" && method == "OPTIONS" {
		h.Add(http.Path, target)
	} else if authority, err = parseTarget(h, method, target, s); err != nil {
		return false, err
	}
	if err := parseFields(h, raw, p, requestSection, s); err != nil {
		return false, err
	}
	if authority != "" {
		// The target's host replaces Host (RFC 9112 section 3.2.2).
		h.Set(http.Authority, authority)
	} else if http10 && !h.Has(http.Authority) && s.DefaultHost != "" {
		h.Add(http.Authority, s.DefaultHost)
	}
	return http10, nil
}

// visible is the run of visible ASCII characters at the start of p.
func visible(p []byte) string {
	for i, c := range p {
		if c-'!' > '~'-'!' {
			return text(p[:i])
		}
	}
	return text(p)
}

// parseVersion reads "HTTP/1.1" and the line's end at raw[p:].
func parseVersion(raw []byte, p int) (http10 bool, next int, err *http.CodecError) {
	v := raw[p:]
	if len(v) < 9 || string(v[:5]) != "HTTP/" || v[5]-'0' > 9 || v[6] != '.' || v[7]-'0' > 9 {
		return false, 0, errStartLine
	}
	switch {
	case v[8] == '\n':
		next = p + 9
	case v[8] == '\r' && len(v) > 9 && v[9] == '\n':
		next = p + 10
	default:
		return false, 0, errStartLine
	}
	if v[5] != '1' || v[7] > '1' {
		return false, 0, errVersion
	}
	return v[7] == '0', next, nil
}

// parseTarget adds the path and scheme of a target that is not a path:
// authority-form for CONNECT, absolute-form otherwise (RFC 9112 section 3.2).
func parseTarget(h *http.HeaderMap, method, target string, s *Settings) (authority string, err *http.CodecError) {
	if method == "CONNECT" {
		colon := strings.LastIndexByte(target, ':')
		if colon <= 0 || colon == len(target)-1 || !validHost(target) {
			return "", errURL
		}
		return target, nil
	}
	if target[0] == '*' {
		return "", errURL // asterisk-form is for OPTIONS alone
	}
	scheme, rest, ok := strings.Cut(target, "://")
	if scheme == "" || !ok {
		return "", errStartLine
	}
	if s.NoAbsoluteURL {
		h.Add(http.Path, target) // which the manager refuses
		return "", nil
	}
	switch {
	case equalFold(scheme, "http"):
		scheme = "http"
	case equalFold(scheme, "https"):
		scheme = "https"
	default:
		return "", errScheme
	}
	path := "/"
	authority = rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, path = rest[:i], rest[i:]
		if path[0] != '/' {
			path = h.Concat("/", path)
		}
	}
	if authority == "" || authority[0] == ':' || !validHost(authority) {
		return "", errURL
	}
	if method == "OPTIONS" && authority == rest {
		path = "*" // RFC 9112 section 3.2.4
	}
	h.Add(http.Path, path)
	h.Add(http.Scheme, scheme)
	return authority, nil
}

// validHost tells whether v is a uri-host with an optional port (RFC 9110
// section 7.2), or empty.
func validHost(v string) bool {
	if v == "" {
		return true
	}
	if v[0] == '[' {
		end := strings.IndexByte(v, ']')
		if end < 3 {
			return false
		}
		for i := 1; i < end; i++ {
			if !ipLiteralChars[v[i]] {
				return false
			}
		}
		return end == len(v)-1 || v[end+1] == ':' && digits(v[end+2:])
	}
	for i, c := range []byte(v) {
		if !hostChars[c] {
			return c == ':' && digits(v[i+1:])
		}
	}
	return true
}

func digits(v string) bool {
	for i := range len(v) {
		if v[i]-'0' > 9 {
			return false
		}
	}
	return true
}

// knownMethod tells whether Envoy takes the method without
// allow_custom_methods.
func knownMethod(m string) bool {
	switch m {
	case "GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "CONNECT", "TRACE",
		"ACL", "BIND", "CHECKOUT", "COPY", "LINK", "LOCK", "MERGE", "MKACTIVITY", "MKCALENDAR", "MKCOL", "MOVE", "MSEARCH",
		"NOTIFY", "PROPFIND", "PROPPATCH", "PURGE", "QUERY", "REBIND", "REPORT", "SEARCH", "SOURCE", "SUBSCRIBE", "UNBIND", "UNLINK",
		"UNLOCK", "UNSUBSCRIBE":
		return true
	}
	return false
}
