package headertometadata

import (
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

// settings are a filter's, or those that a route has instead.
type settings struct{ request, response []rule }

// rule looks at a header or a cookie.
type rule struct {
	header           string // lower case
	cookie           string // instead of header
	present, missing *target
	remove           bool // the header, once it was looked at
}

// target is where a value goes and what becomes of it.
type target struct {
	namespace, key string
	value          string // instead of the header's
	rewrite        *matcher.Substitution
	base64         bool
	kind           valueKind
}

type valueKind uint8

const (
	stringValue valueKind = iota
	numberValue
	protobufValue // google.protobuf.Value on the wire
)

// maxValue bounds what is kept of a header, in bytes, as in Envoy.
const maxValue = 8 << 10

type factory struct{ settings *settings }

// New implements http.FilterFactory.
func (f factory) New(_ int, cb http.FilterCallbacks) http.StreamFilter {
	return &filter{cb: cb, own: f.settings}
}

type filter struct {
	http.PassRequestBody
	http.PassResponseBody
	cb  http.FilterCallbacks
	own *settings
}

func (f *filter) settings() *settings {
	if s, ok := http.RouteConfig[*settings](f.cb); ok {
		return s
	}
	return f.own
}

// DecodeHeaders implements http.DecoderFilter.
func (f *filter) DecodeHeaders(h *http.HeaderMap, _ bool) http.HeadersStatus {
	f.apply(f.settings().request, h)
	return http.HeadersContinue
}

// EncodeHeaders implements http.EncoderFilter.
func (f *filter) EncodeHeaders(h *http.HeaderMap, _ bool) http.HeadersStatus {
	f.apply(f.settings().response, h)
	return http.HeadersContinue
}

func (f *filter) apply(rules []rule, h *http.HeaderMap) {
	for i := range rules {
		r := &rules[i]
		var value string
		var found bool
		if r.cookie != "" {
			value, found = matcher.CookieValue(h, r.cookie)
		} else {
			value, found = h.Joined(r.header)
		}
		switch {
		case found && r.present != nil:
			f.put(r.present, value)
			if r.remove {
				h.RemoveName(r.header)
			}
		case !found && r.missing != nil:
			f.put(r.missing, "")
		}
	}
}

// put decides what the value is and leaves it in the metadata.
func (f *filter) put(t *target, value string) {
	switch {
	case t.value != "":
		value = t.value
	case t.rewrite != nil:
		value = t.rewrite.Replace(value)
	}
	if value == "" || len(value) > maxValue {
		return
	}
	if t.base64 {
		b, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			return
		}
		value = string(b)
	}
	var v any = strings.Clone(value)
	switch t.kind {
	case numberValue:
		n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil {
			return
		}
		v = n
	case protobufValue:
		var m structpb.Value
		if proto.Unmarshal([]byte(value), &m) != nil {
			return
		}
		v = m.AsInterface()
	}
	f.cb.StreamInfo().SetMetadata(t.namespace, t.key, v)
}

// OnDestroy implements http.StreamFilter.
func (*filter) OnDestroy() {}

// Recycle implements http.Recycler.
func (*filter) Recycle() {}
