package route

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/http"
)

// DataSource is the text of a DataSource of at most
// max_direct_response_body_size_bytes' default, for bodies configured
// elsewhere.
func DataSource(p field.Path, c *corev3.DataSource) (string, error) {
	return dataSource(p, c, defaultMaxDirectResponseBody)
}

// HeaderChanges are header lines to add that are not part of a route.
type HeaderChanges struct{ list *mutationList }

// CompileHeaders compiles header lines to add.
func CompileHeaders(p field.Path, add []*corev3.HeaderValueOption, format func(string) (ValueFormatter, error)) (*HeaderChanges, error) {
	if len(add) == 0 {
		return nil, nil
	}
	k := &compiler{Options: Options{CompileFormat: format}}
	c := &HeaderChanges{list: &mutationList{}}
	for i, a := range add {
		m, err := k.mutation(p.Index(i), a)
		if err != nil {
			return nil, err
		}
		c.list.add = append(c.list.add, m)
	}
	return c, nil
}

// Apply makes the changes.
func (c *HeaderChanges) Apply(h *http.HeaderMap, ctx *FormatContext) { c.list.apply(h, ctx) }
