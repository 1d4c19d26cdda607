package tracing

import (
	"encoding/json"
	"strconv"

	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/http"
)

// customTag is one of custom_tags. One of its sources is set.
type customTag struct {
	name      string
	fixed     string
	header    string
	metadata  func(*formatter.Context) map[string]map[string]any
	namespace string
	path      []string
	format    *formatter.Formatter
	otherwise string
}

func (t *customTag) apply(s *Span, ctx *formatter.Context) {
	if v := t.resolve(ctx); v != "" {
		s.SetTag(t.name, v)
	}
}

// resolve is the tag's value, or its default; "" when there is neither.
func (t *customTag) resolve(ctx *formatter.Context) string {
	if v, ok := t.value(ctx); ok && v != "" {
		return v
	}
	return t.otherwise
}

func (t *customTag) value(ctx *formatter.Context) (string, bool) {
	switch {
	case t.fixed != "":
		return t.fixed, true
	case t.header != "":
		if ctx.RequestHeaders == nil {
			return "", false
		}
		if id := http.LookupID(t.header); id != http.Unknown {
			return ctx.RequestHeaders.Get(id), true
		}
		return ctx.RequestHeaders.GetName(t.header)
	case t.metadata != nil:
		return t.fromMetadata(ctx)
	case t.format != nil:
		return string(t.format.Append(nil, ctx)), true
	}
	return "", false
}

func (t *customTag) fromMetadata(ctx *formatter.Context) (string, bool) {
	var v any = t.metadata(ctx)[t.namespace]
	for _, key := range t.path {
		m, ok := v.(map[string]any)
		if !ok {
			return "", false
		}
		if v, ok = m[key]; !ok {
			return "", false
		}
	}
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case float64:
		return strconv.FormatFloat(v, 'g', 6, 64), true // as C++ streams print it
	case map[string]any:
		if v == nil {
			return "", false
		}
	case []any:
	default:
		return "", false
	}
	b, err := json.Marshal(v)
	return string(b), err == nil
}

func itoa(n int) string { return strconv.Itoa(n) }
