package cgroup2

import (
	"os"
	"testing"
)

func TestParseMount(t *testing.T) {
	for _, tt := range []struct {
		line, dir string
		ok        bool
	}{
		{"41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw", "/sys/fs/cgroup/unified", true},
		{`41 31 0:38 / /mnt/a\040b rw shared:9 - cgroup2 none rw,nsdelegate`, "/mnt/a b", true},
		{"32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu", "", false},
		{"31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755", "", false},
		{"", "", false},
	} {
		if dir, ok := parseMount(tt.line); dir != tt.dir || ok != tt.ok {
			t.Errorf("parseMount(%q) = %q, %v; want %q, %v", tt.line, dir, ok, tt.dir, tt.ok)
		}
	}
}

func TestSelfHoldsThisProcess(t *testing.T) {
	dir, err := Self()
	if err != nil {
		t.Skipf("no cgroup v2 here: %v", err)
	}
	pids, err := Pids(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids {
		if pid == os.Getpid() {
			return
		}
	}
	t.Fatalf("%s holds %v, not this process %d", dir, pids, os.Getpid())
}
