package ecds

import (
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/xds/protos"
)

// Discovery subscribes to configurations.
type Discovery interface {
	// Watch has w told, on main, of the configuration with a name at a source;
	// of one that is known already before it returns. p is where the source is
	// configured, kind what is configured ("http_filter"), for statistics.
	Watch(p field.Path, kind, name string, source *corev3.ConfigSource, w Watcher) (cancel func(), err error)
}

// Watcher is told of a configuration.
type Watcher interface {
	// Update takes a configuration at p; its error rejects it.
	Update(p field.Path, config *anypb.Any) error
	// Missing says that there is nothing new for now: what is in use stays.
	Missing()
	// Gone says that there is no such configuration any more.
	Gone()
}

// Scope is the listener that waits for its configurations.
type Scope interface {
	WaitFor(what string) (done func())
	OnClose(f func())
}

// Options are what a Slot is made with.
type Options[T any] struct {
	Kind      string // "http_filter"
	Name      string // of the configuration, and what it is for
	Discovery Discovery
	Scope     Scope
	Loops     []*network.Loop // by worker number; 0 is main
	// Known tells whether there is such an extension.
	Known func(typeName string) bool
	// Compile compiles a configuration; Close ends what came of it, and may be nil.
	Compile func(p field.Path, config *anypb.Any) (T, error)
	Close   func(T)
}

// New follows the configuration that m, at p, tells where to find. The slot
// ends with its scope.
func New[T any](p field.Path, m *corev3.ExtensionConfigSource, o Options[T]) (*Slot[T], error) {
	if err := field.Only(p, m, "config_source", "default_config", "apply_default_config_without_warming", "type_urls"); err != nil {
		return nil, err
	}
	if o.Discovery == nil {
		return nil, p.Errorf("there is no discovery of configurations here")
	}
	if err := protos.Validate(p, m); err != nil {
		return nil, err
	}
	s := &Slot[T]{options: o, byWorker: make([]*Version[T], len(o.Loops))}
	for i, url := range m.GetTypeUrls() {
		name := url[slices.Index([]byte(url), '/')+1:]
		if !o.Known(name) {
			return nil, p.Dot("type_urls").Index(i).Errorf("weir has no %s of type %q", o.Kind, name)
		}
		s.types = append(s.types, name)
	}
	if err := s.setDefault(p, m); err != nil {
		return nil, err
	}
	cancel, err := o.Discovery.Watch(p.Dot("config_source"), o.Kind, o.Name, m.GetConfigSource(), s)
	if err != nil {
		s.end()
		return nil, err
	}
	o.Scope.OnClose(func() {
		cancel()
		s.end()
	})
	if !s.settled {
		s.done = o.Scope.WaitFor("configuration of " + o.Name)
	}
	return s, nil
}

func (s *Slot[T]) setDefault(p field.Path, m *corev3.ExtensionConfigSource) error {
	if m.GetDefaultConfig() == nil {
		if m.GetApplyDefaultConfigWithoutWarming() {
			return p.Dot("apply_default_config_without_warming").Errorf("needs a default_config")
		}
		return nil
	}
	s.fallback, s.fallbackPath = m.GetDefaultConfig(), p.Dot("default_config")
	v, err := s.compile(s.fallbackPath, s.fallback)
	if err != nil {
		return err
	}
	if m.GetApplyDefaultConfigWithoutWarming() {
		s.settled = true
		s.start(v)
		return nil
	}
	v.close() // it was only to be checked
	return nil
}

// compile makes a version of a configuration of one of the types.
func (s *Slot[T]) compile(p field.Path, config *anypb.Any) (*Version[T], error) {
	if name := protos.TypeName(config); !slices.Contains(s.types, name) {
		return nil, p.Errorf("Error: filter config has type URL %s but expect %v.", name, s.types)
	}
	value, err := s.options.Compile(p, config)
	if err != nil {
		return nil, err
	}
	return &Version[T]{Value: value, slot: s, holders: make([]holders, len(s.options.Loops)), left: len(s.options.Loops)}, nil
}
