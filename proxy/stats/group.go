package stats

import (
	"reflect"
	"strings"
	"unsafe"
)

// Scope is what the statistics of a group have in common.
type Scope struct {
	// Prefix starts every name, with the dot at its end: "cluster.u1.". Colons
	// become underscores, as in Envoy.
	Prefix string
	// Base and Tags are the prefix without the parts that tags carry, and those
	// tags, where Envoy's rules don't find them in the name. Configured rules
	// look at names only.
	Base string
	Tags []Tag
	// Lazy has the group on the pages from the first call of Group.For on.
	Lazy bool
}

// Tag is a part of a name that Prometheus shows as a label.
type Tag struct{ Name, Value string }

// Group is one struct of statistics for each owner, shown as their sum.
type Group[T any] struct {
	core  *group
	store *Store
}

// group is a Group without its type.
type group struct {
	scope     Scope
	layout    *layout
	instances []unsafe.Pointer // by owner; nil until it counts
	refs      int              // guarded by Store.mu
	hists     []histogramState // guarded by Store.mu; nil until the first value
}

type groupKey struct {
	prefix string
	layout *layout
}

// NewGroup returns the group of T under the scope's prefix. As names are what
// identifies statistics, a second group of the same type and prefix is the
// same one: a listener that replaces another goes on counting where that
// stopped. Each NewGroup needs its Close. It costs little until something counts.
func NewGroup[T any](s *Store, scope Scope) *Group[T] {
	scope.Prefix = Sanitize(scope.Prefix)
	key := groupKey{scope.Prefix, layoutOf(reflect.TypeFor[T]())}
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[key]
	if g == nil {
		g = &group{scope: scope, layout: key.layout, instances: make([]unsafe.Pointer, len(s.owners))}
		s.groups[key] = g
	}
	g.refs++
	return &Group[T]{g, s}
}

// For returns the owner's instance, made on the first call. Only that owner's
// goroutine may call it and use what it returns, or whoever prepares the owner
// before it runs.
func (g *Group[T]) For(owner int) *T {
	p := &g.core.instances[owner]
	if *p == nil {
		*p = unsafe.Pointer(new(T))
	}
	return (*T)(*p)
}

// Close takes the group off the pages, once each NewGroup that shares it was closed.
// Instances stay usable, for connections that outlive their configuration.
func (g *Group[T]) Close() { g.CloseWith(nil) }

// CloseWith is Close; when nobody else has the group, the shared statistics of
// these full names go with it.
func (g *Group[T]) CloseWith(names []string) {
	g.store.mu.Lock()
	defer g.store.mu.Unlock()
	if g.core.refs--; g.core.refs > 0 {
		return
	}
	delete(g.store.groups, groupKey{g.core.scope.Prefix, g.core.layout})
	for _, n := range names {
		n = Sanitize(n)
		delete(g.store.counters, n)
		delete(g.store.gauges, n)
		delete(g.store.texts, n)
	}
}

func at[T any](instance unsafe.Pointer, f statField) *T {
	return (*T)(unsafe.Add(instance, f.offset))
}

// Sanitize replaces what Envoy doesn't allow in a statistic's name: an address
// "10.0.0.1:80" becomes "10.0.0.1_80".
func Sanitize(name string) string {
	return sanitizer.Replace(name)
}

var sanitizer = strings.NewReplacer("://", "_", ":/", "_", ":", "_", "\x00", "_")
