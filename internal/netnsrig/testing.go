package netnsrig

import (
	"os"
	"testing"
)

// RequireRoot skips a test that needs root, except in CI, where it must run.
func RequireRoot(t testing.TB) {
	t.Helper()
	if os.Getuid() == 0 {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("this test needs root, and CI must not skip it")
	}
	t.Skip("needs root: network namespaces and eBPF")
}

// Test makes a rig with pods of those names, and removes it when t ends.
func Test(t testing.TB, names ...string) []*Pod {
	t.Helper()
	RequireRoot(t)
	rig, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := rig.Close(); err != nil {
			t.Errorf("remove the test rig: %v", err)
		}
	})
	pods := make([]*Pod, len(names))
	for i, name := range names {
		if pods[i], err = rig.AddPod(name); err != nil {
			t.Fatal(err)
		}
	}
	return pods
}
