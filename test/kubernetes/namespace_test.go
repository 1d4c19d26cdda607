//go:build kubernetes

package kubernetes

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMain runs the tests in a network and a mount namespace of their own, in
// which the node's directories are empty ones.
func TestMain(m *testing.M) {
	if os.Getuid() != 0 {
		fmt.Fprintln(os.Stderr, "a Kubernetes node needs root: sudo make e2e-k8s")
		os.Exit(1)
	}
	if os.Getenv("WEIR_KUBERNETES_DIR") != "" {
		os.Exit(m.Run())
	}
	os.Exit(reexec())
}

func reexec() int {
	dir, err := os.MkdirTemp("", "weir-kubernetes-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), "WEIR_KUBERNETES_DIR="+dir)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Unshareflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS, // and mounts made private
		Pdeathsig:    syscall.SIGKILL,
	}
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// ownDirectories puts an empty directory over each that a node writes to.
func ownDirectories(dir string) error {
	// The container runtime's mounts must reach those who ask for them.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("share the mounts: %w", err)
	}
	for _, path := range []string{
		"/var/lib/kubelet", "/var/lib/containerd", "/run/containerd", "/var/log/pods", "/var/log/containers",
		"/etc/cni/net.d", "/opt/cni/bin", "/run/netns", "/run/weir", "/var/lib/cni",
	} {
		own := filepath.Join(dir, path)
		if err := os.MkdirAll(own, 0o755); err != nil {
			return err
		}
		if err := os.MkdirAll(path, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(own, path, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount over %s: %w", path, err)
		}
	}
	// A bpf file system of the node's own: the maps of others stay unseen.
	return unix.Mount("bpf", "/sys/fs/bpf", "bpf", 0, "mode=0700")
}
