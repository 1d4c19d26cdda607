package fraction

// Runtime looks up a number in the runtime; def is returned for a key that is
// not set. It is called on workers. A nil Runtime has no keys.
type Runtime func(key string, def uint64) uint64

// Get is the key's value, def when the key is "", not set or a share.
func (r Runtime) Get(key string, def uint64) uint64 {
	if r == nil || key == "" {
		return def
	}
	if v := r(key, def); v == def || v < isShare {
		return v
	}
	return def
}

// A FractionalPercent in the runtime is a number, too, for a Runtime: isShare,
// the denominator's place in denominators, and 32 bits of numerator.
const isShare = 1 << 63

var denominators = [...]uint64{100, 10_000, 1_000_000}

// Share is the number that a Runtime yields for numerator/denominator.
func Share(numerator, denominator uint64) uint64 {
	n := uint64(isShare) | min(numerator, 1<<32-1)
	for i, d := range denominators {
		if d == denominator {
			n |= uint64(i) << 32
		}
	}
	return n
}

// Share is the key's value as a share: a plain number is a percentage. ok is
// false when the key is "" or not set.
func (r Runtime) Share(key string) (numerator, denominator uint64, ok bool) {
	if r == nil || key == "" {
		return 0, 0, false
	}
	switch v := r(key, unset); {
	case v == unset:
		return 0, 0, false
	case v >= isShare:
		return v & (1<<32 - 1), denominators[min(v>>32&3, 2)], true
	default:
		return v, 100, true
	}
}

// Percent is a share of requests.
type Percent struct {
	numerator, denominator uint64
	key                    string
	runtime                Runtime
}

// Of is a fixed share. A denominator of 0 takes nothing.
func Of(numerator, denominator uint64) Percent {
	return Percent{numerator: numerator, denominator: denominator}
}

// unset stands for a key that the runtime does not have.
const unset = ^uint64(0)

// Picks tells whether the share takes the request with that random number. A
// plain number in the runtime is a percentage, whatever the default's denominator.
func (p *Percent) Picks(random uint64) bool {
	numerator, denominator := p.numerator, p.denominator
	if n, d, ok := p.runtime.Share(p.key); ok {
		numerator, denominator = n, d
	}
	return denominator != 0 && random%denominator < numerator
}

// WithKey is the same share under another key of the runtime; "" leaves it
// without one.
func (p Percent) WithKey(key string, runtime Runtime) Percent {
	p.key, p.runtime = key, runtime
	return p
}

// Capped is the share with n in place of its numerator, if that is less.
func (p Percent) Capped(n uint64) Percent {
	p.numerator = min(p.numerator, n)
	return p
}

// Flag is a switch that the runtime can turn.
type Flag struct {
	on      bool
	key     string
	runtime Runtime
}

// On tells whether the switch is on.
func (f *Flag) On() bool {
	def := uint64(0)
	if f.on {
		def = 1
	}
	return f.runtime.Get(f.key, def) != 0
}
