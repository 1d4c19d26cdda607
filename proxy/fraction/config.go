package fraction

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"github.com/weirproxy/weir/internal/field"
)

// NewPercent compiles a RuntimeFractionalPercent; unset is what a nil one, or
// one without a default value, stands for.
func NewPercent(p field.Path, c *corev3.RuntimeFractionalPercent, unset Percent, runtime Runtime) (Percent, error) {
	if c == nil {
		return unset, nil
	}
	if err := field.Only(p, c, "default_value", "runtime_key"); err != nil {
		return unset, err
	}
	if c.GetDefaultValue() == nil {
		return unset.WithKey(c.GetRuntimeKey(), runtime), nil
	}
	return Fixed(c.GetDefaultValue()).WithKey(c.GetRuntimeKey(), runtime), nil
}

// Fixed compiles a FractionalPercent; nil is no share at all.
func Fixed(c *typev3.FractionalPercent) Percent {
	p := Of(uint64(c.GetNumerator()), 100)
	switch c.GetDenominator() {
	case typev3.FractionalPercent_TEN_THOUSAND:
		p.denominator = 10_000
	case typev3.FractionalPercent_MILLION:
		p.denominator = 1_000_000
	}
	return p
}

// NewFlag compiles a RuntimeFeatureFlag; nil is on.
func NewFlag(p field.Path, c *corev3.RuntimeFeatureFlag, runtime Runtime) (Flag, error) {
	if c == nil {
		return Flag{on: true}, nil
	}
	on := c.GetDefaultValue() == nil || c.GetDefaultValue().GetValue()
	return Flag{on: on, key: c.GetRuntimeKey(), runtime: runtime}, field.Only(p, c, "default_value", "runtime_key")
}
