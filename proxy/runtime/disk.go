package runtime

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/fsnotify/fsnotify"
)

// disk is a layer that is a directory: a key for each file, with the
// directories' names in front of it and the file's content as its value. Its
// root is a symbolic link; moving another in its place changes all keys at
// once.
type disk struct {
	link         string // symlink_root
	subdirectory string
	cluster      string // appended to subdirectory; "" without
}

const (
	// A tree that somebody else writes must not eat all memory.
	maxFile  = 64 << 10
	maxDepth = 16
	maxFiles = 100_000
)

// WatchDisk reads the disk layers, and reads them again whenever their root is
// replaced, until ctx ends. An error is that a directory can't be watched.
func (l *Loader) WatchDisk(ctx context.Context) error {
	var watched []*layer
	for _, layer := range l.layers {
		if layer.disk != nil {
			watched = append(watched, layer)
		}
	}
	if len(watched) == 0 {
		l.reload(nil)
		return nil
	}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watching the runtime: %w", err)
	}
	for _, layer := range watched {
		// The first reading comes after the watch: no change is missed.
		if err := w.Add(filepath.Dir(layer.disk.link)); err != nil {
			w.Close()
			return fmt.Errorf("watching runtime layer %s: %w", layer.name, err)
		}
	}
	l.reload(watched)
	go func() {
		defer w.Close()
		for {
			select {
			case <-ctx.Done():
				return
			case ev := <-w.Events:
				for i, layer := range watched {
					if ev.Has(fsnotify.Create) && filepath.Clean(ev.Name) == filepath.Clean(layer.disk.link) {
						l.reload(watched[i : i+1])
					}
				}
			case err := <-w.Errors:
				if err == nil {
					return
				}
				l.reload(watched) // events were lost
			}
		}
	}()
	return nil
}

// reload reads directories and publishes what they come to. The values of one
// that can't be read stay.
func (l *Loader) reload(changed []*layer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	failed := false
	for _, to := range changed {
		root := filepath.Join(to.disk.link, to.disk.subdirectory, to.disk.cluster)
		_, err := os.Stat(root)
		to.absent = os.IsNotExist(err)
		values, err := readTree(root)
		if err != nil {
			failed = true
			if l.o.Log != nil {
				l.o.Log.Warn("runtime layer can't be read; its values stay", "layer", to.name, "error", err)
			}
			continue
		}
		to.values = values
	}
	l.publish()
	l.countLoad(failed)
}

// readTree reads a directory. One that isn't there has no values.
func readTree(root string) (Layer, error) {
	out := Layer{}
	if _, err := os.Stat(root); os.IsNotExist(err) {
		return out, nil
	}
	return out, readDir(out, root, "", 0)
}

func readDir(out Layer, dir, prefix string, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%s: nested deeper than %d directories", dir, maxDepth)
	}
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range list {
		path, key := filepath.Join(dir, e.Name()), prefix+e.Name()
		info, err := os.Stat(path) // of what a link points to
		switch {
		case err != nil:
			return err
		case info.IsDir():
			if err := readDir(out, path, key+".", depth+1); err != nil {
				return err
			}
		case info.Mode().IsRegular():
			if len(out) >= maxFiles {
				return fmt.Errorf("%s: more than %d keys", dir, maxFiles)
			}
			value, err := readValue(path, info)
			if err != nil {
				return err
			}
			out[key] = parse(value)
		}
	}
	return nil
}

// readValue is a file without its comments and the white space at its end.
func readValue(path string, info fs.FileInfo) (string, error) {
	if info.Size() > maxFile {
		return "", fmt.Errorf("%s: larger than %d bytes", path, maxFile)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	var lines []string
	for _, line := range strings.Split(string(b), "\n") {
		if !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return strings.TrimRight(strings.Join(lines, "\n"), " \t\r\n"), nil
}
