package tls

import (
	"crypto/sha256"
	"testing"
)

// TestRequires shows that a client without a certificate does not get past
// matchers of names and fingerprints.
func TestRequires(t *testing.T) {
	pin := [][sha256.Size]byte{{}}
	for name, c := range map[string]struct {
		v    *Validation
		want bool
	}{
		"nothing":                 {nil, false},
		"an authority":            {&Validation{}, false},
		"names":                   {&Validation{sans: make([]sanMatcher, 1)}, true},
		"fingerprints":            {&Validation{hashes: pin}, true},
		"keys":                    {&Validation{spki: pin}, true},
		"names, ACCEPT_UNTRUSTED": {&Validation{sans: make([]sanMatcher, 1), untrusted: true}, false},
	} {
		if got := c.v.requires(); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
