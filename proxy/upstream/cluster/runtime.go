package cluster

import "math/rand/v2"

// Runtime looks up values of the runtime. Any goroutine may. The zero Runtime has none.
type Runtime struct {
	Integer func(key string, def uint64) uint64
	Double  func(key string, def float64) float64
}

// Uint is a key's number, def when it is not set.
func (r Runtime) Uint(key string, def uint64) uint64 {
	if r.Integer == nil || key == "" {
		return def
	}
	return r.Integer(key, def)
}

// Float is a key's number, def when it is not set.
func (r Runtime) Float(key string, def float64) float64 {
	if r.Double == nil || key == "" {
		return def
	}
	return r.Double(key, def)
}

// Enabled is true in so many of 100 calls as the key says, percent when it is
// not set.
func (r Runtime) Enabled(key string, percent uint64) bool {
	return rand.Uint64N(100) < r.Uint(key, percent)
}
