package tracing

import (
	tracingv3 "github.com/envoyproxy/go-control-plane/envoy/type/tracing/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/formatter"
)

// CustomTags are tags of a stream that are configured, for access logs.
type CustomTags []customTag

// NewCustomTags compiles a list of custom tags at p.
func NewCustomTags(p field.Path, list []*tracingv3.CustomTag) (CustomTags, error) {
	var out CustomTags
	for i, t := range list {
		tag, err := newCustomTag(p.Index(i), t)
		if err != nil {
			return nil, err
		}
		out = append(out, tag)
	}
	return out, nil
}

// Each yields the tags that have a value.
func (t CustomTags) Each(ctx *formatter.Context, yield func(name, value string)) {
	for i := range t {
		if v := t[i].resolve(ctx); v != "" {
			yield(t[i].name, v)
		}
	}
}
