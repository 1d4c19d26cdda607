package lb

import "testing"

// TestMersenneIsStandard: [rand.predef] of the C++ standard gives the value
// that the 10,000th call with the seed 5489 returns.
func TestMersenneIsStandard(t *testing.T) {
	m := &mersenne{}
	m.seed(5489)
	for range 9999 {
		m.uint32()
	}
	if got := m.uint32(); got != 4123659995 {
		t.Errorf("%d", got)
	}
}
