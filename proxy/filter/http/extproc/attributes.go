package extproc

import (
	"cel.dev/cel-go/common/types"

	"github.com/weirproxy/weir/proxy/cel"
)

// attribute is one of request_attributes or response_attributes.
type attribute struct {
	name    string // the expression as it was written
	program *cel.Program
}

// attributes are the values of a direction's attributes, which go with its
// first message. As in Envoy truth values, numbers and null stay what they
// are, and what else is simple becomes a string; of maps and lists there is
// only that they are. Objects, such as xds.route_metadata, which Envoy prints in
// a form for debugging, are left out.
func (f *filter) attributes(d direction) map[string]any {
	list := f.own.attributes[d]
	if len(list) == 0 || f.phases[d].attributed {
		return nil
	}
	f.phases[d].attributed = true
	in := cel.Input{Info: f.cb.StreamInfo(), RequestHeaders: f.cb.RequestHeaders(), ResponseHeaders: f.cb.ResponseHeaders(), ResponseTrailers: f.cb.ResponseTrailers(), Now: f.cb.Loop().Now()}
	out := map[string]any{}
	for _, a := range list {
		v, ok := a.program.Eval(in)
		if !ok {
			continue
		}
		switch x := v.(type) {
		case types.Bool:
			out[a.name] = bool(x)
		case types.Double:
			out[a.name] = float64(x)
		case types.Null:
			out[a.name] = nil
		case types.String:
			out[a.name] = string(x)
		case types.Bytes:
			out[a.name] = string(x)
		case types.Int:
			out[a.name] = float64(x)
		case types.Uint:
			out[a.name] = float64(x)
		case types.Duration:
			out[a.name] = x.Duration.String()
		case types.Timestamp:
			out[a.name] = x.Time.UTC().Format("2006-01-02T15:04:05.999999999Z07:00")
		default:
			switch v.Type() {
			case types.MapType:
				out[a.name] = "CelMap value"
			case types.ListType:
				out[a.name] = "CelList value"
			}
		}
	}
	return out
}
