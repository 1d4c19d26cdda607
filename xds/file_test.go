package xds_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/weirproxy/weir/xds"
)

func fileSource(path, dir string) *corev3.ConfigSource {
	p := &corev3.PathConfigSource{Path: path}
	if dir != "" {
		p.WatchedDirectory = &corev3.WatchedDirectory{Path: dir}
	}
	return &corev3.ConfigSource{ConfigSourceSpecifier: &corev3.ConfigSource_PathConfigSource{PathConfigSource: p}}
}

func routesFile(version string, routes ...string) string {
	doc := "version_info: '" + version + "'\nresources:\n"
	for _, r := range routes {
		doc += fmt.Sprintf("- '@type': %s\n  name: %s\n  virtual_hosts: {name: v, domains: '*'}\n", xds.RouteType, r)
	}
	return doc
}

// move replaces the file in one step, as one should.
func move(t *testing.T, path, doc string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(doc), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rds.yaml")
	move(t, path, routesFile("1", "a", "b"))
	m := newMain(t)
	c := newClient(t, m, &bootstrapv3.Bootstrap{})
	a := subscribe(t, c, fileSource(path, ""), xds.RouteType, "a")
	if a.updates != 0 {
		t.Error("called back before Subscribe returned")
	}
	m.until("a", a.is("1", "a"))
	b := subscribe(t, c, fileSource(path, ""), xds.RouteType, "b")
	m.until("b", b.is("1", "b"))

	move(t, path, routesFile("2", "a", "b", "c"))
	c2 := subscribe(t, c, fileSource(path, ""), xds.RouteType, "c")
	m.until("c", c2.is("2", "c"))
	m.until("version 2", func() bool { return a.Status().Version == "2" })

	move(t, path, strings.Replace(routesFile("3", "a"), "virtual_hosts", "virtual_ghosts", 1))
	m.until("the failure", func() bool { return a.stats["update_failure"] > 0 })
	move(t, path, strings.Replace(routesFile("3", "a"), "name: a", "name: ''", 1))
	m.until("the rejection", func() bool { return len(a.failures) > 0 })
	if !slices.Equal(a.failures, []xds.Failure{xds.Rejected}) {
		t.Errorf("failures %v %v", a.failures, a.reasons)
	}
	if st := a.Status(); st.Version != "2" || st.Rejected == nil {
		t.Errorf("status %+v", st)
	}
	move(t, path, routesFile("4", "a"))
	m.until("version 4", func() bool { return a.Status().Version == "4" })
	a.Close()
	b.Close()
	c2.Close()
}

// Kubernetes replaces a ConfigMap by moving the symbolic link ..data, by which
// all its files are found.
func TestFileInConfigMap(t *testing.T) {
	dir := t.TempDir()
	publish := func(version string) {
		data := "..data_" + version
		if err := os.Mkdir(filepath.Join(dir, data), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, data, "rds.yaml"), []byte(routesFile(version, "a")), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(data, filepath.Join(dir, "..tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	publish("1")
	path := filepath.Join(dir, "rds.yaml")
	if err := os.Symlink("..data/rds.yaml", path); err != nil {
		t.Fatal(err)
	}
	m := newMain(t)
	w := subscribe(t, newClient(t, m, &bootstrapv3.Bootstrap{}), fileSource(path, dir), xds.RouteType, "a")
	m.until("version 1", func() bool { return w.Status().Version == "1" })
	publish("2")
	m.until("version 2", func() bool { return w.Status().Version == "2" })
}
