package server

import (
	"fmt"
	"strconv"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/admin"
)

// runtime is the static layers of layered_runtime: values that some fields
// can be overridden by. It does not change once it is made.
type runtime struct {
	layers []string
	values []map[string]string // by layer
}

func newRuntime(p field.Path, r *bootstrapv3.LayeredRuntime) (*runtime, error) {
	out := &runtime{}
	for i, l := range r.GetLayers() {
		values := map[string]string{}
		if err := flatten("", l.GetStaticLayer(), values); err != nil {
			return nil, p.Dot("layers").Index(i).Wrap(err)
		}
		out.layers = append(out.layers, l.GetName())
		out.values = append(out.values, values)
	}
	return out, nil
}

// flatten writes nested keys with dots: {a: {b: 1}} is a.b.
func flatten(prefix string, s *structpb.Struct, out map[string]string) error {
	for k, v := range s.GetFields() {
		if prefix != "" {
			k = prefix + "." + k
		}
		switch x := v.GetKind().(type) {
		case *structpb.Value_StructValue:
			if err := flatten(k, x.StructValue, out); err != nil {
				return err
			}
		case *structpb.Value_NumberValue:
			out[k] = strconv.FormatFloat(x.NumberValue, 'g', -1, 64)
		case *structpb.Value_StringValue:
			out[k] = x.StringValue
		case *structpb.Value_BoolValue:
			out[k] = strconv.FormatBool(x.BoolValue)
		default:
			return fmt.Errorf("runtime key %q: weir does not support values of this kind", k)
		}
	}
	return nil
}

// lookup is a key's value in the last layer that has it.
func (r *runtime) lookup(key string) (string, bool) {
	for i := len(r.values) - 1; i >= 0; i-- {
		if v, ok := r.values[i][key]; ok {
			return v, true
		}
	}
	return "", false
}

// Integer is a key as a number, def when it is not set or not one.
func (r *runtime) Integer(key string, def uint64) uint64 {
	if v, ok := r.lookup(key); ok {
		if n, err := strconv.ParseUint(v, 10, 64); err == nil {
			return n
		}
	}
	return def
}

func (r *runtime) dump() admin.Runtime {
	out := admin.Runtime{Layers: r.layers, Entries: map[string]admin.RuntimeEntry{}}
	for i, values := range r.values {
		for k, v := range values {
			e := out.Entries[k]
			if e.LayerValues == nil {
				e.LayerValues = make([]string, len(r.layers))
			}
			e.LayerValues[i], e.FinalValue = v, v
			out.Entries[k] = e
		}
	}
	return out
}
