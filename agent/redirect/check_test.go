package redirect

import (
	"testing"

	"github.com/weirproxy/weir/internal/netnsrig"
)

// The tests here pass only where every feature is there: so must the probes.
func TestCheck(t *testing.T) {
	netnsrig.RequireRoot(t)
	for _, f := range Check() {
		if f.Error != "" {
			t.Errorf("%s (for %s, Linux %s): %s", f.Name, f.For, f.Kernel, f.Error)
		}
	}
}
