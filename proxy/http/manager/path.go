package manager

import (
	"strings"

	"github.com/weirproxy/weir/proxy/http"
)

// slashAction is what is done with %2F and %5C in a path
// (path_with_escaped_slashes_action).
type slashAction uint8

const (
	slashesKeep slashAction = iota
	slashesReject
	slashesUnescapeAndRedirect
	slashesUnescapeAndForward
)

// rejectPath answers a path that can't be made a normal one.
func (s *stream) rejectPath() bool {
	s.w.stats.DownstreamRqFailedPathNormalization.Inc()
	return s.reject(400, "", "path_normalization_failed")
}

// normalizePath applies normalize_path, merge_slashes and
// path_with_escaped_slashes_action. It returns false when it answered the
// request.
func (s *stream) normalizePath() bool {
	c, h := s.cfg, &s.request
	before, query, hasQuery := strings.Cut(h.Get(http.Path), "?")
	path := before
	redirect := false
	if c.slashes != slashesKeep && hasEscapedSlash(path) {
		if c.slashes == slashesReject {
			return s.rejectPath()
		}
		if c.slashes == slashesUnescapeAndRedirect && s.grpc {
			return s.rejectPath() // gRPC knows no redirects
		}
		path = unescapeSlashes(path)
		redirect = c.slashes == slashesUnescapeAndRedirect
	}
	if c.normalizePath && needsNormalizing(path) {
		var ok bool
		if path, ok = normalize(path); !ok {
			return s.rejectPath()
		}
	}
	if c.mergeSlashes && strings.Contains(path, "//") {
		path = mergeSlashes(path)
	}
	if path == before {
		return true
	}
	if hasQuery {
		path = h.Concat(path, "?", query)
	} else {
		path = h.Own(path)
	}
	h.Set(http.Path, path)
	if redirect {
		s.w.stats.DownstreamRqRedirectedWithNormalizedPath.Inc()
		s.Answer(307, "", func(r *http.HeaderMap) { r.Set(http.Location, path) }, http.NoGrpcStatus, "path_normalization_failed")
		return false
	}
	return true
}

func hasEscapedSlash(path string) bool {
	for i := strings.IndexByte(path, '%'); i >= 0 && i+2 < len(path); {
		if _, ok := escapedSlash(path[i:]); ok {
			return true
		}
		next := strings.IndexByte(path[i+1:], '%')
		if next < 0 {
			return false
		}
		i += 1 + next
	}
	return false
}

func escapedSlash(s string) (byte, bool) {
	if len(s) < 3 || s[0] != '%' {
		return 0, false
	}
	switch {
	case s[1] == '2' && s[2]|0x20 == 'f':
		return '/', true
	case s[1] == '5' && s[2]|0x20 == 'c':
		return '\\', true
	}
	return 0, false
}

func unescapeSlashes(path string) string {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if c, ok := escapedSlash(path[i:]); ok {
			b.WriteByte(c)
			i += 2
			continue
		}
		b.WriteByte(path[i])
	}
	return b.String()
}

// needsNormalizing tells quickly that a path is in normal form already.
func needsNormalizing(path string) bool {
	for i := range len(path) {
		switch c := path[i]; c {
		case '%', '\\':
			return true
		case '.':
			if path[i-1] == '/' { // a path begins with a slash
				return true
			}
		default:
			if pathEscape[c] {
				return true
			}
		}
	}
	return false
}

// pathEscape marks the characters that a normal path has escaped.
var pathEscape = func() (t [256]bool) {
	for c := range 256 {
		t[c] = c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>`{}^|", byte(c)) >= 0
	}
	return t
}()

// normalize is RFC 3986 section 6.2.2 as browsers do it: unreserved
// characters are unescaped, dot segments resolved, backslashes are slashes.
func normalize(path string) (string, bool) {
	const hex = "0123456789ABCDEF"
	path = cutDotParameters(path)
	out := make([]byte, 0, len(path)+8)
	for i := 0; i < len(path); i++ {
		c := path[i]
		switch {
		case c == '\\':
			out = append(out, '/')
		case c == '%' && i+2 < len(path) && isHex(path[i+1]) && isHex(path[i+2]):
			v := unhex(path[i+1])<<4 | unhex(path[i+2])
			if v == 0 {
				return "", false
			}
			if unreserved(v) {
				out = append(out, v)
			} else {
				out = append(out, path[i:i+3]...)
			}
			i += 2
		case pathEscape[c]:
			out = append(out, '%', hex[c>>4], hex[c&15])
		default:
			out = append(out, c)
		}
	}
	return removeDotSegments(string(out)), true
}

// cutDotParameters takes the parameters off dot segments ("/..;x/"), which
// some servers ignore (RFC 3986 section 3.3). Escaped dots are not looked at.
func cutDotParameters(path string) string {
	if !strings.Contains(path, ".;") {
		return path
	}
	segments := strings.Split(path, "/")
	for i, seg := range segments {
		if name, _, _ := strings.Cut(seg, ";"); name == "." || name == ".." {
			segments[i] = name
		}
	}
	return strings.Join(segments, "/")
}

// removeDotSegments is RFC 3986 section 5.2.4. It never climbs above "/".
func removeDotSegments(path string) string {
	if !strings.Contains(path, "/.") {
		return path
	}
	segments := strings.Split(path[1:], "/")
	out := segments[:0:0]
	for i, seg := range segments {
		last := i == len(segments)-1
		switch seg {
		case ".":
			if last {
				out = append(out, "")
			}
		case "..":
			if len(out) > 0 {
				out = out[:len(out)-1]
			}
			if last {
				out = append(out, "")
			}
		default:
			out = append(out, seg)
		}
	}
	return "/" + strings.Join(out, "/")
}

func mergeSlashes(path string) string {
	if strings.Trim(path, "/") == "" {
		return "//" // as Envoy does
	}
	out := make([]byte, 0, len(path))
	for i := range len(path) {
		if path[i] == '/' && len(out) > 0 && out[len(out)-1] == '/' {
			continue
		}
		out = append(out, path[i])
	}
	return string(out)
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

func unreserved(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || c == '-' || c == '.' || c == '_' || c == '~'
}
