package http

import (
	"slices"
	"strings"
)

// QueryParam is a parameter of a path's query, as it stands there.
type QueryParam struct{ Key, Value string }

// SplitQuery takes a path and its query apart. Nothing is percent-decoded.
func SplitQuery(pathAndQuery string) (path string, params []QueryParam) {
	path, query, _ := strings.Cut(pathAndQuery, "?")
	for query != "" {
		var p string
		p, query, _ = strings.Cut(query, "&")
		key, value, _ := strings.Cut(p, "=")
		params = append(params, QueryParam{key, value})
	}
	return path, params
}

// JoinQuery is the path with these parameters. As in Envoy they are sorted by
// their keys, and each has a "=".
func JoinQuery(path string, params []QueryParam) string {
	slices.SortStableFunc(params, func(a, b QueryParam) int { return strings.Compare(a.Key, b.Key) })
	var b strings.Builder
	b.WriteString(path)
	sep := byte('?')
	for _, p := range params {
		b.WriteByte(sep)
		b.WriteString(p.Key)
		b.WriteByte('=')
		b.WriteString(p.Value)
		sep = '&'
	}
	return b.String()
}
