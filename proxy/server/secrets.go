package server

import (
	"fmt"
	"slices"
	"strings"
	"time"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/secret"
	"github.com/weirproxy/weir/xds"
)

// secrets are the bootstrap's, and those that SDS brings and keeps up to
// date. All of it belongs to main.
type secrets struct {
	s      *server
	static map[string]*tlsv3.Secret
	sds    map[string]*sdsSecret // by name and source
	files  secretFiles
}

// sdsSecret is one that SDS brings, for all who have asked for it.
type sdsSecret struct {
	key, name string
	proto     *tlsv3.Secret // nil until it is there
	resolved  *tlsv3.Secret // with what its files had, for /config_dump
	version   string
	updated   time.Time
	sub       *xds.Subscription
	watchers  []*secretWatcher
	given     bool   // waiting for it has ended without it
	content   uint64 // hash of the files that it refers to
}

type secretWatcher struct{ onChange secret.OnChange }

func newSecrets(s *server) (*secrets, error) {
	x := &secrets{s: s, static: map[string]*tlsv3.Secret{}, sds: map[string]*sdsSecret{}}
	x.files.changed = func(dir, name string) { s.loops[0].Post(func() { x.moved(dir, name) }) }
	for i, secret := range s.bootstrap.GetStaticResources().GetSecrets() {
		p := field.Path("static_resources.secrets").Index(i)
		if x.static[secret.GetName()] != nil {
			return nil, p.Dot("name").Errorf("Duplicate static secret: %s", secret.GetName())
		}
		if secret.GetType() == nil {
			return nil, p.Errorf("Secret type not implemented")
		}
		x.static[secret.GetName()] = secret
	}
	return x, nil
}

var secretTypeNames = map[secret.Kind]string{
	secret.Certificate: "TLS certificate", secret.ValidationContext: "certificate validation context", secret.TicketKeys: "TLS session ticket keys", secret.GenericSecret: "generic secret",
}

// Watch implements secret.Provider.
func (x *secrets) Watch(p field.Path, c *tlsv3.SdsSecretConfig, t secret.Kind, onChange secret.OnChange) (cancel func(), err error) {
	if err := field.Only(p, c, "name", "sds_config"); err != nil {
		return nil, err
	}
	if c.GetSdsConfig() == nil {
		secret := x.static[c.GetName()]
		if secret == nil {
			return nil, p.Dot("name").Errorf("Unknown static %s: %s", secretTypeNames[t], c.GetName())
		}
		return func() {}, onChange(field.Path("secret["+c.GetName()+"]"), secret)
	}
	key := c.GetName() + "\x00" + c.GetSdsConfig().String()
	secret := x.sds[key]
	if secret == nil {
		if secret, err = x.subscribe(p, key, c); err != nil {
			return nil, err
		}
	}
	w := &secretWatcher{onChange}
	secret.watchers = append(secret.watchers, w)
	if secret.proto != nil {
		err = onChange(secret.path(), secret.proto)
	} else if secret.given {
		err = onChange(secret.path(), nil)
	}
	if err != nil {
		x.leave(secret, w)
		return nil, err
	}
	return func() { x.leave(secret, w) }, nil
}

func (x *secrets) subscribe(p field.Path, key string, c *tlsv3.SdsSecretConfig) (*sdsSecret, error) {
	t := &sdsSecret{key: key, name: c.GetName()}
	if name := x.missingCluster(c.GetSdsConfig()); name != "" {
		x.s.log.get("config").Warn("a secret is to come from a cluster that is not there", "secret", t.name, "cluster", name)
		x.sds[key] = t
		x.s.loops[0].NewTimer(func() { t.given = true; t.tell(nil) }).Enable(fetchTimeout(c.GetSdsConfig()))
		return t, nil
	}
	sub, err := x.s.xds.Subscribe(xds.Request{
		Source: c.GetSdsConfig(), Path: p.Dot("sds_config"), TypeURL: xds.SecretType, Names: []string{c.GetName()},
		OnUpdate: func(rs []xds.Resource, version string) error {
			for _, r := range rs {
				if err := x.update(t, r.Message.(*tlsv3.Secret), version); err != nil {
					return err
				}
			}
			return nil
		},
		OnFailure: func(why xds.Failure, err error) {
			x.s.log.get("config").Warn("no secret", "secret", t.name, "reason", why.String(), "error", err)
			if t.proto == nil {
				t.given = true
				t.tell(nil)
			}
		},
		Stats: x.stats(t.name),
	})
	if err != nil {
		return nil, err
	}
	t.sub = sub
	x.sds[key] = t
	return t, nil
}

// missingCluster is the cluster of a source that the bootstrap has not. Envoy
// takes such a configuration: only what needs the secret does not work.
func (x *secrets) missingCluster(src *corev3.ConfigSource) string {
	services := src.GetApiConfigSource().GetGrpcServices()
	if len(services) != 1 || services[0].GetEnvoyGrpc() == nil {
		return ""
	}
	name := services[0].GetEnvoyGrpc().GetClusterName()
	if x.s.hasCluster(name) {
		return ""
	}
	return name
}

// fetchTimeout is how long a secret is waited for.
func fetchTimeout(src *corev3.ConfigSource) time.Duration {
	if d := src.GetInitialFetchTimeout(); d != nil {
		return d.AsDuration()
	}
	return 15 * time.Second
}

// stats are a subscription's statistics.
func (x *secrets) stats(name string) xds.Stats {
	st := x.s.xdsStats("sds." + name + ".")
	st.Declare("key_rotation_failed")
	return st
}

func (t *sdsSecret) path() field.Path { return field.Path("secret[" + t.name + "]") }

// tell gives the secret to all who have asked for it, nil for that it does
// not come in time. The first error is returned.
func (t *sdsSecret) tell(m *tlsv3.Secret) (first error) {
	for _, w := range slices.Clone(t.watchers) {
		if err := w.onChange(t.path(), m); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// update takes a new version of a secret.
func (x *secrets) update(t *sdsSecret, m *tlsv3.Secret, version string) error {
	if err := t.tell(m); err != nil {
		return err
	}
	t.proto, t.resolved, t.version, t.updated = m, withFiles(m), version, time.Now()
	files, dirs := filesOf(m)
	t.content = hashFiles(files)
	if err := x.files.watch(t.key, dirs); err != nil {
		return fmt.Errorf("secret %s: %w", t.name, err)
	}
	return nil
}

// moved has the secrets that refer to files in dir read again, if those have
// changed. name is what was moved there.
func (x *secrets) moved(dir, _ string) {
	for _, key := range x.files.inDir(dir) {
		t := x.sds[key]
		if t == nil || t.proto == nil {
			continue
		}
		files, _ := filesOf(t.proto)
		now := hashFiles(files)
		if now == t.content {
			continue
		}
		t.content = now // what is bad is not tried again
		if err := t.tell(t.proto); err != nil {
			x.s.stats.Counter("sds." + t.name + ".key_rotation_failed").Inc()
			x.s.log.get("config").Warn("a secret's files were replaced by bad ones; the old ones stay in use", "secret", t.name, "error", err)
			continue
		}
		t.resolved = withFiles(t.proto)
	}
}

// leave ends a watch; a secret that nobody watches is forgotten.
func (x *secrets) leave(t *sdsSecret, w *secretWatcher) {
	t.watchers = slices.DeleteFunc(t.watchers, func(o *secretWatcher) bool { return o == w })
	if len(t.watchers) == 0 && x.sds[t.key] == t {
		delete(x.sds, t.key)
		if t.sub != nil {
			t.sub.Close()
		}
		x.files.watch(t.key, nil)
	}
}

// dump is the secrets of /config_dump, by name.
func (x *secrets) dump() proto.Message {
	m := &adminv3.SecretsConfigDump{}
	for _, s := range x.s.bootstrap.GetStaticResources().GetSecrets() {
		m.StaticSecrets = append(m.StaticSecrets, &adminv3.SecretsConfigDump_StaticSecret{Name: s.GetName(), Secret: pack(s)})
	}
	list := make([]*sdsSecret, 0, len(x.sds))
	for _, t := range x.sds {
		list = append(list, t)
	}
	slices.SortFunc(list, func(a, b *sdsSecret) int { return strings.Compare(a.key, b.key) })
	for _, t := range list {
		d := &adminv3.SecretsConfigDump_DynamicSecret{Name: t.name, VersionInfo: t.version, LastUpdated: stamp(t.updated)}
		if t.sub == nil {
			d.ClientStatus = adminv3.ClientResourceStatus_REQUESTED
		} else if r := t.sub.Status().Rejected; r != nil {
			d.ErrorState = &adminv3.UpdateFailureState{VersionInfo: r.Version, Details: r.Err.Error(), LastUpdateAttempt: stamp(r.Time)}
			d.ClientStatus = adminv3.ClientResourceStatus_NACKED
		}
		if t.proto == nil {
			d.VersionInfo, d.LastUpdated = "uninitialized", stamp(x.s.started)
			d.Secret = pack(&tlsv3.Secret{Name: t.name})
			m.DynamicWarmingSecrets = append(m.DynamicWarmingSecrets, d)
			continue
		}
		d.Secret = pack(t.resolved)
		m.DynamicActiveSecrets = append(m.DynamicActiveSecrets, d)
	}
	return m
}
