package redirect

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/internal/netnsrig"
)

// The tests here pass only where every feature is there: so must the probes.
// Only an optional feature may be missing, and only from a kernel that is older.
func TestCheck(t *testing.T) {
	netnsrig.RequireRoot(t)
	for _, f := range Check() {
		if f.Error != "" && !(f.Optional && olderThan(t, f.Kernel)) {
			t.Errorf("%s (for %s, Linux %s): %s", f.Name, f.For, f.Kernel, f.Error)
		}
	}
}

// olderThan reports whether the running kernel came before version, "5.17".
func olderThan(t *testing.T, version string) bool {
	t.Helper()
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		t.Fatal(err)
	}
	var here, there [2]int
	for text, v := range map[string]*[2]int{unix.ByteSliceToString(name.Release[:]): &here, version: &there} {
		if _, err := fmt.Sscanf(text, "%d.%d", &v[0], &v[1]); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
	}
	return here[0] < there[0] || here[0] == there[0] && here[1] < there[1]
}
