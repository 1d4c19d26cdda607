package headermutation

import (
	"net/url"
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

// applyQuery changes the query of the request's path.
func applyQuery(cs []queryChange, h *http.HeaderMap, c *formatter.Context) {
	if len(cs) == 0 {
		return
	}
	path, params := http.SplitQuery(h.Get(http.Path))
	for i := range cs {
		params = cs[i].apply(params, c)
	}
	h.Set(http.Path, http.JoinQuery(path, params))
}

func (x *queryChange) apply(params []http.QueryParam, c *formatter.Context) []http.QueryParam {
	if x.remove != "" {
		return slices.DeleteFunc(params, func(p http.QueryParam) bool { return p.Key == x.remove })
	}
	value := x.value
	if x.format != nil {
		value = x.format.Format(c)
	}
	own := func(p http.QueryParam) bool { return p.Key == x.key }
	there := slices.ContainsFunc(params, own)
	if there && x.action == addIfAbsent || !there && x.action == overwriteIfExists {
		return params
	}
	if x.action == overwriteOrAdd || x.action == overwriteIfExists {
		params = slices.DeleteFunc(params, own)
	}
	return append(params, http.QueryParam{Key: x.key, Value: encode(value)})
}

// encode percent-encodes a query parameter's value: all but letters, digits and
// "-_.*", as Envoy does.
func encode(value string) string { return likeEnvoy.Replace(url.QueryEscape(value)) }

var likeEnvoy = strings.NewReplacer("+", "%20", "~", "%7E", "%2A", "*")
