package runtime

import (
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/weirproxy/weir/proxy/stats"
)

// Options are what a Loader needs of the server.
type Options struct {
	ServiceCluster string       // for append_service_cluster
	Stats          *stats.Store // nil: none
	Log            *slog.Logger
}

// Layer is a layer's values by key.
type Layer map[string]entry

// Loader holds the layers and what they come to.
type Loader struct {
	o      Options
	values atomic.Pointer[Layer] // all layers', replaced whole

	mu     sync.Mutex // changes and /runtime, never the request path
	layers []*layer
	admin  int // index of the admin layer, -1 without one
}

type layer struct {
	name   string
	values Layer
	disk   *disk // nil unless it is one
	absent bool  // a disk layer whose directory isn't there
}

// ErrNoAdminLayer says that Modify has nowhere to write to.
//
//lint:ignore ST1005 Envoy's words: it is what the page answers
var ErrNoAdminLayer = errors.New("No admin layer specified")

// Modifiable tells whether there is an admin layer.
func (l *Loader) Modifiable() bool { return l.admin >= 0 }

// Modify sets keys in the admin layer; an empty value removes one.
func (l *Loader) Modify(values map[string]string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.admin < 0 {
		return ErrNoAdminLayer
	}
	next := Layer{}
	for k, v := range l.layers[l.admin].values {
		next[k] = v
	}
	for k, v := range values {
		if v == "" {
			delete(next, k)
		} else {
			next[k] = parse(v)
		}
	}
	l.layers[l.admin].values = next
	l.publish()
	l.countLoad(false)
	return nil
}

// SetLayer replaces the values of the i-th layer.
func (l *Loader) SetLayer(i int, values Layer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.layers[i].values = values
	l.publish()
	l.countLoad(false)
}

// publish makes the layers' values what is read from now on.
func (l *Loader) publish() {
	all := Layer{}
	for _, layer := range l.layers {
		for k, v := range layer.values {
			all[k] = v
		}
	}
	l.values.Store(&all)
	if s := l.o.Stats; s != nil {
		s.Gauge("runtime.num_keys").Set(int64(len(all)))
		s.Gauge("runtime.num_layers").Set(int64(len(l.present())))
		overrides := int64(0)
		if l.admin >= 0 && len(l.layers[l.admin].values) > 0 {
			overrides = 1
		}
		s.Gauge("runtime.admin_overrides_active").Set(overrides)
	}
}

// declare makes the statistics that may never count anything.
func (l *Loader) declare() {
	if s := l.o.Stats; s != nil {
		for _, zero := range []string{"load_success", "load_error", "override_dir_exists", "override_dir_not_exists", "deprecated_feature_use"} {
			s.Counter("runtime." + zero)
		}
		s.Gauge("runtime.deprecated_feature_seen_since_process_start").Set(0)
	}
}

// countLoad counts that the layers were put together. As in Envoy an override
// directory is a second disk layer.
func (l *Loader) countLoad(failed bool) {
	if l.o.Stats == nil {
		return
	}
	disks := 0
	for _, layer := range l.present() {
		if layer.disk != nil {
			disks++
		}
	}
	result, dir := "runtime.load_success", "runtime.override_dir_not_exists"
	if failed {
		result = "runtime.load_error"
	}
	if disks > 1 {
		dir = "runtime.override_dir_exists"
	}
	l.o.Stats.Counter(result).Inc()
	l.o.Stats.Counter(dir).Inc()
}

// present are the layers but for directories that aren't there.
func (l *Loader) present() []*layer {
	return slices.DeleteFunc(slices.Clone(l.layers), func(layer *layer) bool { return layer.absent })
}

// Dump is what /runtime shows: the layers' names, and for each key its value
// in each layer, "" where it has none.
func (l *Loader) Dump() (layers []string, values map[string][]string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	layers, values = []string{}, map[string][]string{}
	present := l.present()
	for i, layer := range present {
		layers = append(layers, layer.name)
		for k, v := range layer.values {
			if values[k] == nil {
				values[k] = make([]string, len(present))
			}
			values[k][i] = v.raw
		}
	}
	return layers, values
}

// Of is a Loader with fixed values, for tests.
func Of(values map[string]string) *Loader {
	all := Layer{}
	for k, v := range values {
		all[k] = parse(v)
	}
	l := &Loader{admin: -1}
	l.values.Store(&all)
	return l
}
