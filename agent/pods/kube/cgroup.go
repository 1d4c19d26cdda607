package kube

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/weirproxy/weir/internal/cgroup2"
)

// cgroup is the directory of the pod's cgroup, or empty while it has no
// process there. The caller has s.mu.
func (s *Source) cgroup(uid string) string {
	if dir := s.cgroups[uid]; dir != "" {
		if _, err := os.Stat(dir); err == nil {
			return dir
		}
	}
	delete(s.cgroups, uid)
	root := s.opts.CgroupRoot
	if root == "" {
		mount, err := cgroup2.Mount()
		if err != nil {
			return ""
		}
		root = mount
	}
	dir := findCgroup(root, uid)
	if dir == "" || !hasProcess(dir) {
		return ""
	}
	s.cgroups[uid] = dir
	return dir
}

// maxCgroupDepth bounds the search: kubelet's pods lie three to six
// directories deep, by driver and by the --cgroup-root given.
const maxCgroupDepth = 8

// findCgroup looks for the kubelet's directory of a pod: podUID with the
// cgroupfs driver, …-podUID.slice with underscores in the UID with systemd's.
func findCgroup(root, uid string) string {
	systemd := "pod" + strings.ReplaceAll(uid, "-", "_") + ".slice"
	found := ""
	filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil // a cgroup that went meanwhile
		}
		name := d.Name()
		if name == "pod"+uid || strings.HasSuffix(name, systemd) {
			found = path
			return fs.SkipAll
		}
		if depth(root, path) >= maxCgroupDepth {
			return fs.SkipDir
		}
		return nil
	})
	return found
}

func depth(root, path string) int {
	relative, err := filepath.Rel(root, path)
	if err != nil || relative == "." {
		return 0
	}
	return strings.Count(relative, string(os.PathSeparator)) + 1
}

func hasProcess(dir string) bool {
	pids, err := cgroup2.PidsBelow(dir)
	return err == nil && len(pids) > 0
}
