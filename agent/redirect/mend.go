package redirect

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// pinnable is a map or a link.
type pinnable interface {
	Pin(path string) error
	Unpin() error
}

// MendPins pins again what is not pinned any more, because the bpf file system
// was unmounted, another was mounted over it, or a file was removed: what is
// loaded would end with this process, and pods would no longer be caught. It
// returns how many maps and links it has pinned.
func (r *Redirect) MendPins() (mended int, err error) {
	if r.opts.Dir == "" {
		return 0, nil
	}
	var errs []error
	for path, p := range r.pins() {
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err := r.pinAgain(path, p); err != nil {
			errs = append(errs, fmt.Errorf("pin %s: %w", path, err))
			continue
		}
		mended++
	}
	return mended, errors.Join(errs...)
}

// pins is everything that is to be pinned, by path.
func (r *Redirect) pins() map[string]pinnable {
	pins := map[string]pinnable{}
	for name, m := range r.maps() {
		pins[filepath.Join(r.opts.Dir, name)] = m
	}
	for name, l := range r.links {
		pins[r.linkPath(name)] = l
	}
	return pins
}

func (r *Redirect) pinAgain(path string, p pinnable) error {
	if err := makePinDir(r.opts.Dir); err != nil {
		return err
	}
	// It believes that it is pinned there already.
	if err := p.Unpin(); err != nil {
		return err
	}
	return p.Pin(path)
}

// putError says which map it is, and that it is full if it is.
func putError(name string, m *ebpf.Map, err error) error {
	if errors.Is(err, unix.E2BIG) {
		return fmt.Errorf("%s is full: it holds %d entries: %w", name, m.MaxEntries(), err)
	}
	return fmt.Errorf("%s: %w", name, err)
}
