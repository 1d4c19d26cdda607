package redirect

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf/link"
)

// Cleanup detaches and unpins everything in dir, whoever put it there, and
// reports what it removed. Nothing is caught any more when it returns.
func Cleanup(dir string) (removed []string, err error) {
	links := filepath.Join(dir, linkDir)
	for _, name := range list(links) {
		path := filepath.Join(links, name)
		if e := removeLink(path); e != nil {
			err = errors.Join(err, e)
			continue
		}
		removed = append(removed, "link "+path)
	}
	for _, name := range list(dir) {
		path := filepath.Join(dir, name)
		if path == links {
			continue
		}
		if e := os.Remove(path); e != nil {
			err = errors.Join(err, e)
			continue
		}
		removed = append(removed, "map "+path)
	}
	for _, d := range []string{links, dir} {
		switch e := os.Remove(d); {
		case e == nil:
			removed = append(removed, "directory "+d)
		case !errors.Is(e, os.ErrNotExist):
			err = errors.Join(err, e)
		}
	}
	return removed, err
}

// removeLink detaches too: another process may hold the link open.
func removeLink(path string) error {
	l, err := link.LoadPinnedLink(path, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer l.Close()
	// A link whose namespace is gone has nothing to detach from.
	if err := l.Detach(); err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, link.ErrNotSupported) {
		return fmt.Errorf("detach %s: %w", path, err)
	}
	return l.Unpin()
}

func list(dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // absent: nothing to remove
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names
}
