package cgroup2

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// ErrNotMounted says that this mount namespace has no cgroup v2 tree.
var ErrNotMounted = errors.New("no cgroup2 file system is mounted: mount -t cgroup2 none /sys/fs/cgroup")

// Mount is the directory of the cgroup v2 tree's root (proc_pid_mountinfo(5)).
func Mount() (string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if dir, ok := parseMount(lines.Text()); ok {
			return dir, nil
		}
	}
	if err := lines.Err(); err != nil {
		return "", err
	}
	return "", ErrNotMounted
}

// parseMount reads one line of mountinfo; ok when it is a cgroup2 mount.
func parseMount(line string) (dir string, ok bool) {
	mount, fs, found := strings.Cut(line, " - ")
	fields := strings.Fields(mount)
	if !found || len(fields) < 5 || !strings.HasPrefix(fs, "cgroup2 ") {
		return "", false
	}
	return unescape(fields[4]), true
}

// unescape undoes the octal escapes (\040 for a space) of mountinfo.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// Self is the directory of the cgroup that this process is in.
func Self() (string, error) {
	mount, err := Mount()
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return filepath.Join(mount, path), nil
		}
	}
	return "", fmt.Errorf("/proc/self/cgroup names no cgroup v2 (a line that starts with 0::)")
}

// ID is what bpf_get_current_cgroup_id returns in the cgroup at dir: the
// inode number of its directory.
func ID(dir string) (uint64, error) {
	var st syscall.Stat_t
	if err := syscall.Stat(dir, &st); err != nil {
		return 0, &os.PathError{Op: "stat", Path: dir, Err: err}
	}
	return st.Ino, nil
}

// Pids lists the processes of the cgroup at dir.
func Pids(dir string) ([]int, error) {
	text, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return nil, err
	}
	var pids []int
	for field := range strings.FieldsSeq(string(text)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			return nil, fmt.Errorf("%s/cgroup.procs: %w", dir, err)
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

// PidsBelow lists the processes of the cgroup at dir and of all below it: a
// pod's or a service's, whose processes are in its leaves.
func PidsBelow(dir string) ([]int, error) {
	var pids []int
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		here, err := Pids(path)
		pids = append(pids, here...)
		return err
	})
	return pids, err
}
