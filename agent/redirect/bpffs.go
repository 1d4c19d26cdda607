package redirect

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// bpffsMount is where every distribution mounts the bpf file system.
const bpffsMount = "/sys/fs/bpf"

// mountBPFFS makes sure that dir is, or can be made, on a bpf file system.
func mountBPFFS(dir string) error {
	if isBPFFS(dir) {
		return nil
	}
	if dir != bpffsMount && !strings.HasPrefix(dir, bpffsMount+"/") {
		return fmt.Errorf("%s is not on a bpf file system: mount -t bpf bpf DIR, or use a directory under %s", dir, bpffsMount)
	}
	if err := unix.Mount("bpf", bpffsMount, "bpf", 0, "mode=0700"); err != nil {
		return fmt.Errorf("mount the bpf file system on %s: %w", bpffsMount, err)
	}
	return nil
}

// isBPFFS looks at the nearest directory that exists.
func isBPFFS(dir string) bool {
	for {
		var fs unix.Statfs_t
		err := unix.Statfs(dir, &fs)
		if err == nil {
			return fs.Type == unix.BPF_FS_MAGIC
		}
		if !os.IsNotExist(err) || dir == "/" {
			return false
		}
		dir = filepath.Dir(dir)
	}
}
