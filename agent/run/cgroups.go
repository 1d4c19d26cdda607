package run

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/weirproxy/weir/internal/cgroup2"
)

const prefix = "weir-run-"

// cgroups are a run's: see the package's comment.
type cgroups struct{ parent, command, proxy string }

// makeCgroups makes them below this process's own, so that its limits hold.
func makeCgroups() (*cgroups, error) {
	self, err := cgroup2.Self()
	if err != nil {
		return nil, err
	}
	parent := filepath.Join(self, prefix+strconv.Itoa(os.Getpid()))
	g := &cgroups{parent, filepath.Join(parent, "command"), filepath.Join(parent, "proxy")}
	for _, dir := range []string{g.parent, g.command, g.proxy} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, errors.Join(fmt.Errorf("make a cgroup (weir run needs root): %w", err), g.remove())
		}
	}
	return g, nil
}

// remove ends what is left in the cgroups and removes them.
func (g *cgroups) remove() error {
	var errs []error
	for _, dir := range []string{g.command, g.proxy, g.parent} {
		errs = append(errs, endCgroup(dir))
	}
	return errors.Join(errs...)
}

// A process has gracePeriod after SIGTERM, and as long again to vanish from
// its cgroup after SIGKILL.
const gracePeriod = 2 * time.Second

func endCgroup(dir string) error {
	start := time.Now()
	for sig := syscall.SIGTERM; ; time.Sleep(10 * time.Millisecond) {
		err := os.Remove(dir)
		if err == nil || errors.Is(err, os.ErrNotExist) {
			return nil
		}
		waited := time.Since(start)
		if waited > 2*gracePeriod {
			return fmt.Errorf("%w: processes in it do not end", err)
		}
		pids, err := cgroup2.Pids(dir)
		if err != nil {
			return err
		}
		if waited > gracePeriod {
			sig = syscall.SIGKILL
		}
		for _, pid := range pids {
			syscall.Kill(pid, sig) // it may be gone
		}
	}
}

// Sweep removes the cgroups of runs that were killed, and reports which.
func Sweep() (removed []string, err error) {
	root, err := cgroup2.Mount()
	if errors.Is(err, cgroup2.ErrNotMounted) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	walkErr := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // went meanwhile
		}
		if err != nil || !d.IsDir() {
			return err
		}
		pid, ok := strings.CutPrefix(d.Name(), prefix)
		if !ok {
			return nil
		}
		if isAlive(pid) {
			return fs.SkipDir
		}
		g := cgroups{path, filepath.Join(path, "command"), filepath.Join(path, "proxy")}
		if err := g.remove(); err != nil {
			return err
		}
		removed = append(removed, "cgroup "+path)
		return fs.SkipDir
	})
	return removed, walkErr
}

func isAlive(pid string) bool {
	n, err := strconv.Atoi(pid)
	return err != nil || syscall.Kill(n, 0) == nil
}
