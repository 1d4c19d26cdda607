package formatter

import (
	"fmt"
	"strings"

	"github.com/weirproxy/weir/proxy/streaminfo"
)

// metadataOf picks one of the metadata that belong to a stream.
type metadataOf func(*Context) map[string]map[string]any

func dynamicMetadata(c *Context) map[string]map[string]any  { return c.Info.Metadata }
func clusterMetadata(c *Context) map[string]map[string]any  { return c.Info.ClusterMetadata }
func upstreamMetadata(c *Context) map[string]map[string]any { return c.Info.UpstreamMetadata }

var metadataKinds = map[string]metadataOf{
	"DYNAMIC":               dynamicMetadata,
	"CLUSTER":               clusterMetadata,
	"UPSTREAM_HOST":         upstreamMetadata,
	"ROUTE":                 func(c *Context) map[string]map[string]any { return c.Info.RouteMetadata },
	"VIRTUAL_HOST":          func(c *Context) map[string]map[string]any { return c.Info.VirtualHostMetadata },
	"LISTENER":              func(c *Context) map[string]map[string]any { return c.Info.ListenerMetadata },
	"LISTENER_FILTER_CHAIN": func(c *Context) map[string]map[string]any { return c.Info.FilterChainMetadata },
}

// compileMetadata is METADATA(kind:namespace:key:...).
func compileMetadata(param string) (operator, error) {
	name, rest, _ := strings.Cut(param, ":")
	of, ok := metadataKinds[name]
	if !ok {
		return nil, fmt.Errorf("%q is not a kind of metadata; there are DYNAMIC, CLUSTER, ROUTE, UPSTREAM_HOST, LISTENER, LISTENER_FILTER_CHAIN and VIRTUAL_HOST", name)
	}
	return metadataOperator(of)(rest)
}

// metadataOperator is DYNAMIC_METADATA(namespace:key:...) and its like.
func metadataOperator(of metadataOf) func(string) (operator, error) {
	return func(param string) (operator, error) {
		path := strings.Split(param, ":")
		namespace, keys := path[0], path[1:]
		return func(dst []byte, c *Context) ([]byte, kind) {
			m, ok := of(c)[namespace]
			if !ok {
				return dst, none
			}
			if len(keys) == 0 {
				return appendJSONObject(dst, m), literal
			}
			var v any = m
			for _, key := range keys {
				object, _ := v.(map[string]any)
				if v, ok = object[key]; !ok {
					return dst, none
				}
			}
			return appendValue(dst, v)
		}, nil
	}
}

// appendValue appends a metadata value: strings bare, the rest as JSON.
func appendValue(dst []byte, v any) ([]byte, kind) {
	switch v := v.(type) {
	case nil:
		return dst, none
	case string:
		return append(dst, v...), text
	}
	return appendJSONValue(dst, v), literal
}

type filterStateOf func(*Context) map[string]any

func filterState(c *Context) map[string]any {
	if c.Info.FilterState == nil && c.Info.Conn != nil && c.Info.Conn.Info != nil {
		return c.Info.Conn.Info.FilterState
	}
	return c.Info.FilterState
}

func upstreamFilterState(c *Context) map[string]any { return c.Info.UpstreamFilterState }

// filterStateOperator is FILTER_STATE(key:PLAIN|TYPED|FIELD:field).
func filterStateOperator(of filterStateOf) func(string) (operator, error) {
	return func(param string) (operator, error) {
		parts := strings.SplitN(param, ":", 3)
		parts = append(parts, "", "")
		key, form, name := parts[0], parts[1], parts[2]
		switch {
		case key == "":
			return nil, fmt.Errorf("the filter state's name is missing")
		case form != "" && form != "PLAIN" && form != "TYPED" && form != "FIELD":
			return nil, fmt.Errorf("the form is PLAIN, TYPED or FIELD, not %q", form)
		case (form == "FIELD") != (name != ""):
			return nil, fmt.Errorf("a field's name goes with FIELD and only with it")
		}
		return func(dst []byte, c *Context) ([]byte, kind) {
			v, ok := of(c)[key]
			if !ok {
				return dst, none
			}
			return appendFilterState(dst, v, form, name)
		}, nil
	}
}

func appendFilterState(dst []byte, v any, form, name string) ([]byte, kind) {
	object, isObject := v.(streaminfo.FilterStateObject)
	fields, hasFields := v.(streaminfo.FilterStateFields)
	switch {
	case form == "FIELD":
		if !hasFields {
			return dst, none
		}
		s, ok := fields.Field(name)
		if !ok {
			return dst, none
		}
		return append(dst, s...), text
	case hasFields && !isObject:
		return dst, none
	case isObject:
		if o, ok := v.(interface{ TypedJSON() string }); ok && form != "PLAIN" {
			return append(dst, o.TypedJSON()...), literal
		}
		v = object.String()
	}
	if s, ok := v.(string); ok && form != "PLAIN" {
		return appendQuoted(dst, s), literal
	}
	return appendValue(dst, v)
}
