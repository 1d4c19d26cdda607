package route

import (
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/weirproxy/weir/internal/field"
)

func (k *compiler) runtimeFraction(c *corev3.RuntimeFractionalPercent) *Fraction {
	if c == nil {
		return nil
	}
	if c.GetDefaultValue() == nil {
		return &Fraction{Denominator: 100, key: c.GetRuntimeKey(), runtime: k.Runtime}
	}
	return k.fraction(c.GetDefaultValue(), c.GetRuntimeKey())
}

func (k *compiler) fraction(c *typev3.FractionalPercent, key string) *Fraction {
	if c == nil {
		return nil
	}
	f := &Fraction{Numerator: uint64(c.GetNumerator()), Denominator: 100, key: key, runtime: k.Runtime}
	switch c.GetDenominator() {
	case typev3.FractionalPercent_TEN_THOUSAND:
		f.Denominator = 10_000
	case typev3.FractionalPercent_MILLION:
		f.Denominator = 1_000_000
	}
	return f
}

// metadata turns the metadata of the message at p into plain maps.
func metadata(p field.Path, c *corev3.Metadata) (map[string]map[string]any, error) {
	if c == nil {
		return nil, nil
	}
	if err := field.Only(p.Dot("metadata"), c, "filter_metadata"); err != nil {
		return nil, err
	}
	out := make(map[string]map[string]any, len(c.GetFilterMetadata()))
	for namespace, s := range c.GetFilterMetadata() {
		out[namespace] = s.AsMap()
	}
	return out, nil
}

func bufferLimit(c interface {
	GetPerRequestBufferLimitBytes() *wrapperspb.UInt32Value
	GetRequestBodyBufferLimit() *wrapperspb.UInt64Value
}) *uint64 {
	var n uint64
	switch {
	case c.GetRequestBodyBufferLimit() != nil:
		n = c.GetRequestBodyBufferLimit().GetValue()
	case c.GetPerRequestBufferLimitBytes() != nil:
		n = uint64(c.GetPerRequestBufferLimitBytes().GetValue())
	default:
		return nil
	}
	return &n
}

// duration is the field of that name of the message at p, unset when it is not
// given. The path is made for errors only: most routes give few fields.
func duration(p field.Path, name string, d *durationpb.Duration, unset time.Duration) (time.Duration, error) {
	if d == nil {
		return unset, nil
	}
	if err := d.CheckValid(); err != nil {
		return 0, p.Dot(name).Wrap(err)
	}
	if v := d.AsDuration(); v >= 0 {
		return v, nil
	}
	return 0, p.Dot(name).Errorf("a duration must not be negative")
}

func boolOf(b *wrapperspb.BoolValue) *bool {
	if b == nil {
		return nil
	}
	v := b.GetValue()
	return &v
}
