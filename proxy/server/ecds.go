package server

import (
	"maps"
	"slices"
	"strings"
	"time"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/ecds"
	"github.com/weirproxy/weir/xds"
)

// extensions owns the configurations of extensions that ECDS brings: it is
// what ecds.Discovery wants. All of it belongs to main.
type extensions struct {
	s     *server
	byKey map[string]*extension // by kind, name and source
	used  bool                  // there has been one
}

// extension is one configuration, for all who have asked for it.
type extension struct {
	key, kind, name string
	proto           *corev3.TypedExtensionConfig // nil until it is there
	version         string
	updated         time.Time
	settled         bool // something came, or has had its time
	sub             *xds.Subscription
	watchers        []*extensionWatcher
}

type extensionWatcher struct{ ecds.Watcher }

func newExtensions(s *server) *extensions {
	return &extensions{s: s, byKey: map[string]*extension{}}
}

// Watch implements ecds.Discovery.
func (x *extensions) Watch(p field.Path, kind, name string, source *corev3.ConfigSource, to ecds.Watcher) (cancel func(), err error) {
	key := kind + "\x00" + name + "\x00" + source.String()
	e := x.byKey[key]
	if e == nil {
		if e, err = x.subscribe(p, key, kind, name, source); err != nil {
			return nil, err
		}
	}
	w := &extensionWatcher{to}
	if e.proto != nil {
		if err := w.Update(e.path(), e.proto.GetTypedConfig()); err != nil {
			return nil, err
		}
	} else if e.settled {
		w.Missing()
	}
	e.watchers = append(e.watchers, w)
	return func() { x.leave(e, w) }, nil
}

func (e *extension) path() field.Path { return field.Path(e.kind + "[" + e.name + "].typed_config") }

func (x *extensions) subscribe(p field.Path, key, kind, name string, source *corev3.ConfigSource) (*extension, error) {
	x.used = true
	e := &extension{key: key, kind: kind, name: name}
	st := x.stats(kind, name)
	var err error
	e.sub, err = x.s.xds.Subscribe(xds.Request{
		Source: source, Path: p, TypeURL: xds.ExtensionType, Names: []string{name}, Stats: st,
		OnUpdate: func(rs []xds.Resource, version string) error {
			for _, r := range rs {
				if err := e.update(r.Message.(*corev3.TypedExtensionConfig), version); err != nil {
					return err
				}
				st.Inc("config_reload")
			}
			return nil
		},
		OnFailure: func(why xds.Failure, err error) {
			x.s.log.get("config").Warn("no configuration", kind, name, "reason", why.String(), "error", err)
			st.Inc("config_fail")
			e.missing()
		},
		OnRemoved: func(string) {
			st.Inc("config_reload")
			e.proto, e.settled = nil, true
			for _, w := range slices.Clone(e.watchers) {
				w.Gone()
			}
		},
	})
	if err != nil {
		return nil, err
	}
	x.byKey[key] = e
	return e, nil
}

// stats are a configuration's statistics, which are shown before they count.
func (x *extensions) stats(kind, name string) xds.Stats {
	prefix := "extension_config_discovery." + kind + "." + name + "."
	st := x.s.xdsStats(prefix)
	st.Declare("config_conflict", "config_fail", "config_reload")
	st.SetText("version_text", "")
	return st
}

// update gives a new version to all who have asked for it.
func (e *extension) update(m *corev3.TypedExtensionConfig, version string) error {
	for _, w := range slices.Clone(e.watchers) {
		if err := w.Update(e.path(), m.GetTypedConfig()); err != nil {
			return err
		}
	}
	e.proto, e.version, e.updated, e.settled = m, version, time.Now().Truncate(time.Millisecond), true
	return nil
}

func (e *extension) missing() {
	e.settled = true
	for _, w := range slices.Clone(e.watchers) {
		w.Missing()
	}
}

// dump is what /config_dump shows of them; nil when there have been none.
func (x *extensions) dump() proto.Message {
	if !x.used {
		return nil
	}
	m := &adminv3.EcdsConfigDump{}
	list := slices.SortedFunc(maps.Values(x.byKey), func(a, b *extension) int { return strings.Compare(a.key, b.key) })
	for _, e := range list {
		if e.proto == nil {
			continue
		}
		d := &adminv3.EcdsConfigDump_EcdsFilterConfig{VersionInfo: e.version, EcdsFilter: pack(e.proto), LastUpdated: timestamppb.New(e.updated)}
		if r := e.sub.Status().Rejected; r != nil {
			d.ErrorState = &adminv3.UpdateFailureState{VersionInfo: r.Version, Details: r.Err.Error(), LastUpdateAttempt: timestamppb.New(r.Time)}
			d.ClientStatus = adminv3.ClientResourceStatus_NACKED
		}
		m.EcdsFilters = append(m.EcdsFilters, d)
	}
	return m
}

// leave ends a watch; a configuration that nobody watches is forgotten.
func (x *extensions) leave(e *extension, w *extensionWatcher) {
	e.watchers = slices.DeleteFunc(e.watchers, func(o *extensionWatcher) bool { return o == w })
	if len(e.watchers) == 0 && x.byKey[e.key] == e {
		delete(x.byKey, e.key)
		e.sub.Close()
	}
}
