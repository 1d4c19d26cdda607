package headermutation

import (
	"slices"
	"strings"

	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/route"
)

// mutations are the changes of one level.
type mutations struct {
	request, response                 []change
	requestTrailers, responseTrailers []change
	query                             []queryChange
}

// change removes a header, or the headers whose names match, or adds one.
type change struct {
	remove         string // lower case
	removeMatching *matcher.String
	add            *route.HeaderChanges
}

func apply(cs []change, h *http.HeaderMap, c *formatter.Context) {
	for i := range cs {
		switch x := &cs[i]; {
		case x.add != nil:
			x.add.Apply(h, c)
		case x.removeMatching != nil:
			h.RemoveIf(func(l *http.Header) bool { return x.removeMatching.Match(l.Name) })
		default:
			h.RemoveName(x.remove)
		}
	}
}

type action uint8

const (
	appendOrAdd action = iota
	addIfAbsent
	overwriteOrAdd
	overwriteIfExists
)

// queryChange removes a query parameter or adds one.
type queryChange struct {
	remove     string
	key, value string
	format     *formatter.Formatter // instead of value when not nil
	action     action
}

// applyQuery changes the query of the request's path. As in Envoy, that sorts
// the parameters by their names and gives each a "=". Nothing is
// percent-decoded.
func applyQuery(cs []queryChange, h *http.HeaderMap, c *formatter.Context) {
	if len(cs) == 0 {
		return
	}
	path, query, _ := strings.Cut(h.Get(http.Path), "?")
	var params []string // "key=value"
	if query != "" {
		params = strings.Split(query, "&")
	}
	for i, p := range params {
		if !strings.Contains(p, "=") {
			params[i] = p + "="
		}
	}
	for i := range cs {
		params = cs[i].apply(params, c)
	}
	slices.SortStableFunc(params, func(a, b string) int { return strings.Compare(keyOf(a), keyOf(b)) })
	if len(params) > 0 {
		path += "?" + strings.Join(params, "&")
	}
	h.Set(http.Path, path)
}

func keyOf(param string) string {
	key, _, _ := strings.Cut(param, "=")
	return key
}

func (x *queryChange) apply(params []string, c *formatter.Context) []string {
	is := func(key string) func(string) bool {
		return func(p string) bool { return keyOf(p) == key }
	}
	if x.remove != "" {
		return slices.DeleteFunc(params, is(x.remove))
	}
	value := x.value
	if x.format != nil {
		value = x.format.Format(c)
	}
	there := slices.IndexFunc(params, is(x.key))
	switch {
	case x.action == addIfAbsent && there >= 0, x.action == overwriteIfExists && there < 0:
		return params
	case there >= 0 && (x.action == overwriteOrAdd || x.action == overwriteIfExists):
		params[there] = x.key + "=" + value
		rest := slices.DeleteFunc(params[there+1:], is(x.key))
		return params[:there+1+len(rest)]
	}
	return append(params, x.key+"="+value)
}
