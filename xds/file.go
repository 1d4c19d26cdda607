package xds

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/fsnotify/fsnotify"

	"github.com/weirproxy/weir/xds/decode"
)

// fileSource is a file with a DiscoveryResponse (path_config_source). As in
// Envoy it is read again when a file is moved to its name, or where
// watched_directory is set when anything is moved into that directory (that is
// how Kubernetes replaces a ConfigMap). Writing into the file in place is not
// noticed: a half-written file could be a valid one.
type fileSource struct {
	client  *Client
	path    string
	dir     string // watched
	anyName bool   // whatever moves in dir counts
	col     *collection
	reads   int // reads begun; an older one's result is dropped
}

func (f *fileSource) wantsChanged(*collection) { f.read() }

func (f *fileSource) unused(col *collection) {
	f.reads++
	delete(f.client.collections, col.id)
	f.client.files.remove(f)
}

// read reads the file off the main goroutine.
func (f *fileSource) read() {
	f.reads++
	read := f.reads
	c := f.client
	c.running.Add(1)
	go func() {
		defer c.running.Done()
		u, err := readResources(f.path, f.col.typeURL)
		c.post(func() {
			switch {
			case read != f.reads || c.closed:
			case err != nil:
				c.log.Warn("xDS: file not read", "error", err)
				f.col.failed()
			default:
				// There is no one to send a NACK to; update has logged it.
				_ = f.col.update(u)
			}
		})
	}()
}

// readResources reads a DiscoveryResponse.
func readResources(path, typeURL string) (update, error) {
	resp, err := readResponse(path)
	if err != nil {
		return update{}, err
	}
	u := decodeAll(typeURL, resp.VersionInfo, resp.Resources)
	if u.err != nil {
		u.err = fmt.Errorf("%s: %w", path, u.err)
	}
	return u, nil
}

func readResponse(path string) (*discoveryv3.DiscoveryResponse, error) {
	switch ext := filepath.Ext(path); ext {
	case ".pb", ".pb_text":
		return nil, fmt.Errorf("%s: weir does not read %s files, only JSON and YAML", path, ext)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	resp := &discoveryv3.DiscoveryResponse{}
	err = decode.Unmarshal(data, decode.FormatOf(path, data), resp)
	var de *decode.Error
	if errors.As(err, &de) {
		err = de.In(path)
	}
	return resp, err
}

// fileWatcher watches directories for all file sources with one inotify
// instance. Main goroutine only, but for its own goroutine that reads events.
type fileWatcher struct {
	client  *Client
	inotify *fsnotify.Watcher // nil until there is a source
	sources []*fileSource
}

func (w *fileWatcher) add(f *fileSource) error {
	if w.inotify == nil {
		n, err := fsnotify.NewWatcher()
		if err != nil {
			return fmt.Errorf("watching files: %w", err)
		}
		w.inotify = n
		w.client.running.Add(1)
		go w.run(n)
	}
	if err := w.inotify.Add(f.dir); err != nil {
		return fmt.Errorf("watching %s: %w", f.dir, err)
	}
	w.sources = append(w.sources, f)
	return nil
}

func (w *fileWatcher) remove(f *fileSource) {
	shared := false
	kept := w.sources[:0]
	for _, o := range w.sources {
		if o != f {
			kept = append(kept, o)
			shared = shared || o.dir == f.dir
		}
	}
	w.sources = kept
	if !shared {
		_ = w.inotify.Remove(f.dir) // fails only if the directory is gone
	}
}

func (w *fileWatcher) close() {
	if w.inotify != nil {
		w.inotify.Close()
	}
}

func (w *fileWatcher) run(n *fsnotify.Watcher) {
	defer w.client.running.Done()
	for {
		select {
		case ev, ok := <-n.Events:
			if !ok {
				return
			}
			if ev.Has(fsnotify.Create) { // which a move into the directory is too
				w.client.post(func() { w.moved(ev.Name) })
			}
		case err, ok := <-n.Errors:
			if !ok {
				return
			}
			w.client.log.Warn("xDS: watching files", "error", err)
			w.client.post(func() { w.moved("") }) // events were lost
		}
	}
}

// moved reads the files that depend on the name; "" is any.
func (w *fileWatcher) moved(name string) {
	if w.client.closed {
		return
	}
	for _, f := range w.sources {
		if name == "" || f.path == name || f.anyName && f.dir == filepath.Dir(name) {
			f.read()
		}
	}
}
