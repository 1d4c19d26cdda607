package formatter

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/weirproxy/weir/proxy/http"
)

// headersOf picks one of a context's header maps; nil when it isn't there.
type headersOf func(*Context) *http.HeaderMap

func requestHeaders(c *Context) *http.HeaderMap   { return c.RequestHeaders }
func responseHeaders(c *Context) *http.HeaderMap  { return c.ResponseHeaders }
func responseTrailers(c *Context) *http.HeaderMap { return c.ResponseTrailers }

// headerName is a name resolved at compile time.
type headerName struct {
	name string
	id   http.HeaderID
}

func newHeaderName(name string) (headerName, error) {
	name = strings.ToLower(name)
	if !http.IsToken(strings.TrimPrefix(name, ":")) {
		return headerName{}, fmt.Errorf("%q is not a header name", name)
	}
	// Envoy's request maps have no host: the codecs make it :authority.
	if name == "host" {
		name = ":authority"
	}
	return headerName{name, http.LookupID(name)}, nil
}

func (n headerName) get(h *http.HeaderMap) (string, bool) {
	switch {
	case h == nil || n.name == "":
		return "", false
	case n.id != http.Unknown:
		return h.Get(n.id), h.Has(n.id)
	}
	return h.GetName(n.name)
}

// header is REQ(main?alternative) and its like.
func header(of headersOf) command {
	return command{params: needsParam, length: true, make: func(param string) (operator, error) {
		main, alt, err := compileHeaderPair(param)
		if err != nil {
			return nil, err
		}
		return func(dst []byte, c *Context) ([]byte, kind) {
			h := of(c)
			v, ok := main.get(h)
			if !ok {
				v, ok = alt.get(h)
			}
			if !ok {
				return dst, none
			}
			return append(dst, v...), text
		}, nil
	}}
}

func compileHeaderPair(param string) (main, alt headerName, err error) {
	first, second, two := strings.Cut(param, "?")
	if strings.Contains(second, "?") {
		return main, alt, fmt.Errorf("more than one alternative header in %q", param)
	}
	if first != "" || !two {
		if main, err = newHeaderName(first); err != nil {
			return main, alt, err
		}
	}
	if two && second != "" {
		alt, err = newHeaderName(second)
	}
	return main, alt, err
}

func headersBytes(of headersOf) command {
	return number(func(c *Context) uint64 {
		if h := of(c); h != nil {
			return uint64(h.Bytes())
		}
		return 0
	})
}

// pathSource is where PATH and the query operators read the request's path.
type pathSource uint8

const (
	originalOrPath pathSource = iota // x-envoy-original-path, or else :path
	originalPath
	currentPath
)

func (s pathSource) get(h *http.HeaderMap) (string, bool) {
	if h == nil {
		return "", false
	}
	if s != currentPath {
		if v := h.Get(http.XEnvoyOriginalPath); v != "" || s == originalPath {
			return v, v != ""
		}
	}
	return h.Get(http.Path), h.Has(http.Path)
}

// compilePath is PATH(WQ|NQ:ORIG|PATH|ORIG_OR_PATH).
func compilePath(param string) (operator, error) {
	query, source, _ := strings.Cut(param, ":")
	source, _, _ = strings.Cut(source, ":") // what follows is not looked at
	from := originalOrPath
	switch source {
	case "", "ORIG_OR_PATH":
	case "ORIG":
		from = originalPath
	case "PATH":
		from = currentPath
	default:
		return nil, fmt.Errorf("the path's source is ORIG, PATH or ORIG_OR_PATH, not %q", source)
	}
	if query != "" && query != "WQ" && query != "NQ" {
		return nil, fmt.Errorf("the first option is WQ (with query) or NQ, not %q", query)
	}
	return func(dst []byte, c *Context) ([]byte, kind) {
		v, ok := from.get(c.RequestHeaders)
		if !ok {
			return dst, none
		}
		if query == "NQ" {
			v, _, _ = strings.Cut(v, "?")
		}
		return append(dst, v...), text
	}, nil
}

// compileQueryParam is QUERY_PARAM(name), the first one's value, decoded.
func compileQueryParam(name string) (operator, error) {
	return func(dst []byte, c *Context) ([]byte, kind) {
		path, ok := currentPath.get(c.RequestHeaders)
		if !ok {
			return dst, none
		}
		for _, query, _ := strings.Cut(path, "?"); query != ""; {
			var pair string
			pair, query, _ = strings.Cut(query, "&")
			key, value, _ := strings.Cut(pair, "=")
			start := len(dst)
			dst = appendDecoded(dst, key)
			match := string(dst[start:]) == name
			if dst = dst[:start]; match {
				return appendDecoded(dst, value), text
			}
		}
		return dst, none
	}, nil
}

// compileQueryParams is QUERY_PARAMS(ORIG|DECODED), the query string.
func compileQueryParams(param string) (operator, error) {
	if param != "" && param != "ORIG" && param != "DECODED" {
		return nil, fmt.Errorf("the option is ORIG or DECODED, not %q", param)
	}
	return func(dst []byte, c *Context) ([]byte, kind) {
		path, ok := currentPath.get(c.RequestHeaders)
		_, query, found := strings.Cut(path, "?")
		if !ok || !found {
			return dst, none
		}
		if param == "DECODED" {
			return appendReadable(dst, query), text
		}
		return append(dst, query...), text
	}, nil
}

// appendDecoded undoes percent-encoding; what is not an encoding stays.
func appendDecoded(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if b, ok := percentByte(s[i:]); ok {
			dst = append(dst, b)
			i += 2
			continue
		}
		dst = append(dst, s[i])
	}
	return dst
}

// appendReadable undoes the percent-encoding of visible ASCII only and drops
// a percent sign that encodes nothing, as Envoy does for DECODED.
func appendReadable(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		b, ok := percentByte(s[i:])
		switch {
		case ok && b > ' ' && b < 0x7f:
			dst = append(dst, b)
			i += 2
		case ok || s[i] != '%':
			dst = append(dst, s[i])
		}
	}
	return dst
}

func percentByte(s string) (byte, bool) {
	if len(s) < 3 || s[0] != '%' {
		return 0, false
	}
	n, err := strconv.ParseUint(s[1:3], 16, 8)
	return byte(n), err == nil
}

// reqWithoutQuery is REQ_WITHOUT_QUERY(main?alternative), of the extension of
// that name.
var reqWithoutQuery = command{params: needsParam, length: true, make: func(param string) (operator, error) {
	main, alt, err := compileHeaderPair(param)
	if err != nil {
		return nil, err
	}
	return func(dst []byte, c *Context) ([]byte, kind) {
		v, ok := main.get(c.RequestHeaders)
		if !ok {
			v, ok = alt.get(c.RequestHeaders)
		}
		if !ok {
			return dst, none
		}
		v, _, _ = strings.Cut(v, "?")
		return append(dst, v...), text
	}, nil
}}
