package server

import (
	"os"
	"path/filepath"
	"slices"

	"github.com/cespare/xxhash/v2"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"github.com/fsnotify/fsnotify"
	"google.golang.org/protobuf/proto"
)

// secretFiles watches the directories of the files that secrets refer to. As
// in Envoy a file counts as replaced when something is moved into its
// directory. It belongs to main, but for the goroutine that reads events.
type secretFiles struct {
	inotify *fsnotify.Watcher   // nil until there is something to watch
	dirs    map[string][]string // by secret
	changed func(dir, name string)
}

// watch sets the directories of a secret; nil ends it.
func (w *secretFiles) watch(key string, dirs []string) error {
	if w.inotify == nil {
		if len(dirs) == 0 {
			return nil
		}
		n, err := fsnotify.NewWatcher()
		if err != nil {
			return err
		}
		w.inotify, w.dirs = n, map[string][]string{}
		go w.run(n)
	}
	old := w.dirs[key]
	delete(w.dirs, key)
	if len(dirs) > 0 {
		w.dirs[key] = dirs
	}
	for _, d := range dirs {
		if err := w.inotify.Add(d); err != nil {
			return err
		}
	}
	for _, d := range old {
		if len(w.inDir(d)) == 0 {
			_ = w.inotify.Remove(d) // fails only if the directory is gone
		}
	}
	return nil
}

// inDir are the secrets with files in dir.
func (w *secretFiles) inDir(dir string) (keys []string) {
	for key, dirs := range w.dirs {
		if slices.Contains(dirs, dir) {
			keys = append(keys, key)
		}
	}
	return keys
}

func (w *secretFiles) run(n *fsnotify.Watcher) {
	for ev := range n.Events {
		if ev.Has(fsnotify.Create) { // which a move into the directory is too
			w.changed(filepath.Dir(ev.Name), filepath.Base(ev.Name))
		}
	}
}

func (w *secretFiles) close() {
	if w.inotify != nil {
		w.inotify.Close()
	}
}

// filesOf are the files that a secret refers to, and the directories that tell
// of their replacement.
func filesOf(s *tlsv3.Secret) (files, dirs []string) {
	var watched *corev3.WatchedDirectory
	add := func(d *corev3.DataSource) {
		f := d.GetFilename()
		if f == "" {
			return
		}
		files = append(files, f)
		dir := filepath.Dir(f)
		if w := d.GetWatchedDirectory().GetPath(); w != "" {
			dir = filepath.Clean(w)
		} else if w := watched.GetPath(); w != "" {
			dir = filepath.Clean(w)
		}
		if !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	switch {
	case s.GetTlsCertificate() != nil:
		c := s.GetTlsCertificate()
		watched = c.GetWatchedDirectory()
		add(c.GetCertificateChain())
		add(c.GetPrivateKey())
		add(c.GetOcspStaple())
	case s.GetValidationContext() != nil:
		v := s.GetValidationContext()
		watched = v.GetWatchedDirectory()
		add(v.GetTrustedCa())
		add(v.GetCrl())
	case s.GetSessionTicketKeys() != nil:
		for _, k := range s.GetSessionTicketKeys().GetKeys() {
			add(k)
		}
	case s.GetGenericSecret() != nil:
		add(s.GetGenericSecret().GetSecret())
		for _, d := range s.GetGenericSecret().GetSecrets() {
			add(d)
		}
	}
	return files, dirs
}

// withFiles is a secret with what the files of its certificates have at present.
func withFiles(m *tlsv3.Secret) *tlsv3.Secret {
	out := proto.CloneOf(m)
	for _, d := range []*corev3.DataSource{
		out.GetTlsCertificate().GetCertificateChain(), out.GetTlsCertificate().GetPrivateKey(),
		out.GetValidationContext().GetTrustedCa(), out.GetValidationContext().GetCrl(),
	} {
		if name := d.GetFilename(); name != "" {
			b, _ := os.ReadFile(name) // it was read when the secret was taken
			d.Specifier = &corev3.DataSource_InlineBytes{InlineBytes: b}
		}
	}
	return out
}

// hashFiles is of the files' contents; one that can't be read counts as empty.
func hashFiles(files []string) uint64 {
	h := xxhash.New()
	for _, f := range files {
		b, _ := os.ReadFile(f)
		h.WriteString(f)
		h.Write(b)
	}
	return h.Sum64()
}
