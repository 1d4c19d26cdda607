package runtime

import "github.com/weirproxy/weir/proxy/fraction"

// Percent is Numerator in Denominator, which is 100, 10,000 or 1,000,000.
type Percent struct{ Numerator, Denominator uint64 }

// Holds tells whether random falls within the percentage.
func (p Percent) Holds(random uint64) bool {
	return p.Denominator > 0 && random%p.Denominator < p.Numerator
}

// Fraction is a percentage that a key may override.
type Fraction struct {
	l         *Loader
	key       string
	otherwise Percent
}

// Now is the percentage at present. A whole number in the runtime is a number
// of hundredths, whatever the configured denominator.
func (f Fraction) Now() Percent { return f.l.PercentOf(f.key, f.otherwise) }

// Enabled tells whether random falls within the percentage at present.
func (f Fraction) Enabled(random uint64) bool { return f.Now().Holds(random) }

// Flag is a feature flag.
type Flag struct {
	l         *Loader
	key       string
	otherwise bool
}

// Enabled is the flag's value at present.
func (f Flag) Enabled() bool { return f.l.Bool(f.key, f.otherwise) }

// Number is a floating-point number.
type Number struct {
	l         *Loader
	key       string
	otherwise float64
}

// Value is the number at present.
func (n Number) Value() float64 { return n.l.Number(n.key, n.otherwise) }

// Integer is a whole number.
type Integer struct {
	l         *Loader
	key       string
	otherwise uint64
}

// Value is the number at present.
func (n Integer) Value() uint64 { return n.l.Integer(n.key, n.otherwise) }

func (l *Loader) find(key string) (entry, bool) {
	if l == nil || key == "" {
		return entry{}, false
	}
	e, ok := (*l.values.Load())[key]
	return e, ok
}

// Integer is the key's value, otherwise when it isn't a whole number.
func (l *Loader) Integer(key string, otherwise uint64) uint64 {
	if e, ok := l.find(key); ok && e.is&isInteger != 0 {
		return e.integer
	}
	return otherwise
}

// Number is the key's value, otherwise when it isn't a number.
func (l *Loader) Number(key string, otherwise float64) float64 {
	if e, ok := l.find(key); ok && e.is&isNumber != 0 {
		return e.number
	}
	return otherwise
}

// Bool is the key's value, otherwise when it is neither true nor false.
func (l *Loader) Bool(key string, otherwise bool) bool {
	if e, ok := l.find(key); ok && e.is&isFlag != 0 {
		return e.flag
	}
	return otherwise
}

// String is the key's value as it was written.
func (l *Loader) String(key, otherwise string) string {
	if e, ok := l.find(key); ok {
		return e.raw
	}
	return otherwise
}

// PercentOf is the key's value as a percentage.
func (l *Loader) PercentOf(key string, otherwise Percent) Percent {
	switch e, ok := l.find(key); {
	case ok && e.is&isFraction != 0:
		return e.fraction
	case ok && e.is&isInteger != 0:
		return Percent{e.integer, 100}
	}
	return otherwise
}

// Value is the key's value as a fraction.Runtime has it: flags are 1 and 0.
func (l *Loader) Value(key string, otherwise uint64) uint64 {
	switch e, ok := l.find(key); {
	case ok && e.is&isInteger != 0:
		return e.integer
	case ok && e.is&isFraction != 0:
		return fraction.Share(e.fraction.Numerator, e.fraction.Denominator)
	case ok && e.is&isFlag != 0 && e.flag:
		return 1
	case ok && e.is&isFlag != 0:
		return 0
	}
	return otherwise
}

// Otherwise is the same key with another default.
func (f Fraction) Otherwise(p Percent) Fraction {
	f.otherwise = p
	return f
}
