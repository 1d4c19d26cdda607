package runtime

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
)

// NewPercent is a FractionalPercent; nil is 0 %.
func NewPercent(m *typev3.FractionalPercent) Percent {
	p := Percent{Numerator: uint64(m.GetNumerator()), Denominator: 100}
	switch m.GetDenominator() {
	case typev3.FractionalPercent_TEN_THOUSAND:
		p.Denominator = 10_000
	case typev3.FractionalPercent_MILLION:
		p.Denominator = 1_000_000
	}
	return p
}

// Fraction compiles a RuntimeFractionalPercent; nil is otherwise.
func (l *Loader) Fraction(m *corev3.RuntimeFractionalPercent, otherwise Percent) Fraction {
	if m == nil {
		return Fraction{otherwise: otherwise}
	}
	return Fraction{l, m.GetRuntimeKey(), NewPercent(m.GetDefaultValue())}
}

// Percentage compiles a FractionalPercent that a well-known key overrides.
func (l *Loader) Percentage(key string, otherwise Percent) Fraction {
	return Fraction{l, key, otherwise}
}

// Flag compiles a RuntimeFeatureFlag; nil is otherwise.
func (l *Loader) Flag(m *corev3.RuntimeFeatureFlag, otherwise bool) Flag {
	if m == nil {
		return Flag{otherwise: otherwise}
	}
	return Flag{l, m.GetRuntimeKey(), m.GetDefaultValue().GetValue()}
}

// Double compiles a RuntimeDouble; nil is otherwise.
func (l *Loader) Double(m *corev3.RuntimeDouble, otherwise float64) Number {
	if m == nil {
		return Number{otherwise: otherwise}
	}
	return Number{l, m.GetRuntimeKey(), m.GetDefaultValue()}
}

// Percent compiles a RuntimePercent, 0 to 100; nil is otherwise.
func (l *Loader) Percent(m *corev3.RuntimePercent, otherwise float64) Number {
	if m == nil {
		return Number{otherwise: otherwise}
	}
	return Number{l, m.GetRuntimeKey(), m.GetDefaultValue().GetValue()}
}

// UInt32 compiles a RuntimeUInt32; nil is otherwise.
func (l *Loader) UInt32(m *corev3.RuntimeUInt32, otherwise uint64) Integer {
	if m == nil {
		return Integer{otherwise: otherwise}
	}
	return Integer{l, m.GetRuntimeKey(), uint64(m.GetDefaultValue())}
}
