package jsontometadata

import (
	"slices"
	"strconv"
	"strings"

	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

// settings are a filter's, or those that a route has instead.
type settings struct{ request, response *rules } // nil: such bodies are not looked at

// rules are for the bodies of one direction.
type rules struct {
	types       []string // content types, whole
	typePattern *matcher.String
	noType      bool // a body without a type will do
	list        []rule
}

// takes tells whether bodies of a content type are looked at.
func (r *rules) takes(contentType string) bool {
	if contentType == "" {
		return r.noType
	}
	return slices.Contains(r.types, contentType) || r.typePattern != nil && r.typePattern.Match(contentType)
}

// rule says what becomes of the value at a path of keys.
type rule struct {
	path                     []string
	present, missing, failed *target // nil: nothing
}

// target is where a value goes.
type target struct {
	namespace, key string
	fixed          bool // value is put there, whatever the body has
	value          any
	kind           kind
	preserve       bool // what is there already stays
}

// kind is what a value is made before it is put into metadata: the numbers are
// those of JsonToMetadata.ValueType.
type kind uint8

const (
	asIs kind = iota
	asString
	asNumber
)

// maxValue bounds what is kept of a string, in bytes, as in Envoy.
const maxValue = 8 << 10

// changes collect what is to be put, so that rules do not see each other's.
type changes []change

type change struct {
	to    *target
	value any
}

func (c *changes) put(t *target, value any) {
	if t != nil {
		*c = append(*c, change{t, value})
	}
}

// apply puts the values into the metadata.
func (c changes) apply(info *streaminfo.Info) {
	existing := func(t *target) bool { _, ok := info.Metadata[t.namespace][t.key]; return ok }
	c = slices.DeleteFunc(c, func(x change) bool { return x.to.preserve && existing(x.to) })
	for _, x := range c {
		info.SetMetadata(x.to.namespace, x.to.key, x.value)
	}
}

// missing is for a message without anything that rules could look into.
func (r *rules) missing() (c changes) {
	for i := range r.list {
		if t := r.list[i].missing; t != nil {
			c.put(t, t.value)
		}
	}
	return c
}

// failed is for a message that is not JSON.
func (r *rules) failed() (c changes) {
	for i := range r.list {
		if t := r.list[i].failed; t != nil {
			c.put(t, t.value)
		}
	}
	return c
}

// match looks into a body: an object or an array.
func (r *rules) match(body any) (c changes) {
	for i := range r.list {
		x := &r.list[i]
		last := len(x.path) - 1
		parent, ok := body, true
		for _, key := range x.path[:last] {
			object, _ := parent.(map[string]any)
			if parent, ok = object[key].(map[string]any); !ok {
				break
			}
		}
		var value any
		if ok {
			if x.present != nil && x.present.fixed { // even if there is nothing
				c.put(x.present, x.present.value)
			}
			object, _ := parent.(map[string]any)
			value, ok = scalar(object[x.path[last]])
		}
		switch {
		case !ok && x.missing != nil:
			c.put(x.missing, x.missing.value)
		case ok && x.present != nil && !x.present.fixed:
			if v, ok := convert(value, x.present.kind); ok {
				c.put(x.present, v)
			}
		}
	}
	return c
}

// convert makes a value of JSON what the rule wants; ok is false if that can't
// be, or the value is too long.
func convert(v any, k kind) (_ any, ok bool) {
	switch k {
	case asNumber:
		switch v := v.(type) {
		case string:
			n, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
			return n, err == nil
		case bool:
			if v {
				return 1.0, true
			}
			return 0.0, true
		case integer:
			return float64(v), true
		}
		return v, true
	case asString:
		switch v := v.(type) {
		case string:
			return v, v != "" && len(v) <= maxValue
		case bool:
			if v {
				return "1", true
			}
			return "0", true
		case integer:
			return strconv.FormatInt(int64(v), 10), true
		case float64:
			return strconv.FormatFloat(v, 'f', 6, 64), true
		}
		return nil, false
	}
	switch v := v.(type) {
	case integer:
		return float64(v), true
	case string:
		return v, len(v) <= maxValue
	}
	return v, true
}
