package bootstrap

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirproxy/weir/xds/protos"
)

func TestLoadMergesInFlagOrder(t *testing.T) {
	path := write(t, "b.yaml", "node: {id: file, cluster: file}\nstatic_resources: {clusters: [{name: a, connect_timeout: 1s}]}\n")
	b, err := Load(Options{
		ConfigPath:     path,
		ConfigYAML:     `{node: {id: flag, cluster: flag}, static_resources: {clusters: {name: b}}}`,
		ServiceCluster: "override",
	})
	if err != nil {
		t.Fatal(err)
	}
	if b.Node.Id != "flag" || b.Node.Cluster != "override" {
		t.Errorf("node %v", b.Node)
	}
	if cs := b.StaticResources.Clusters; len(cs) != 2 || cs[0].Name != "a" || cs[1].Name != "b" {
		t.Errorf("clusters %v", cs)
	}
	if b, err = Load(Options{ConfigYAML: "{}", ServiceNode: "n"}); err != nil || b.Node.GetId() != "n" {
		t.Errorf("node %v, %v", b.GetNode(), err)
	}
}

func TestLoadErrors(t *testing.T) {
	for _, tc := range []struct{ name, doc, want string }{
		{"b.yaml", "static_resources:\n  listeners:\n    foo: 1", "b.yaml:3: static_resources.listeners.foo: no such field in envoy.config.listener.v3.Listener"},
		{"b.json", `{"static_resources": {"clusters": [{"name": "a"}, {"name": "b", "connect_timeout": "-1s"}]}}`,
			"b.json: static_resources.clusters[1].connect_timeout: value must be greater than 0s"},
		{"b.json", `{"static_resources": {"clusters": [{"connect_timeout": "1s"}]}}`,
			"b.json: static_resources.clusters[0].name: value length must be at least 1 runes"},
		{"b.json", `{"admin": {"address": {}}}`, "b.json: admin.address.address: value is required"},
		{"b.pb", "", "b.pb: weir does not read bootstraps in protobuf's .pb format, only JSON and YAML"},
		{"b.pb_text", "", "b.pb_text: weir does not read bootstraps in protobuf's .pb_text format, only JSON and YAML"},
	} {
		path := write(t, tc.name, tc.doc)
		_, err := Load(Options{ConfigPath: path})
		if err == nil {
			t.Errorf("%s: no error, want %s", tc.doc, tc.want)
			continue
		}
		if got := strings.TrimPrefix(err.Error(), filepath.Dir(path)+"/"); got != tc.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tc.doc, got, tc.want)
		}
	}
	for _, tc := range []struct {
		o    Options
		want string
	}{
		{Options{}, "no configuration: give --config-path or --config-yaml"},
		{Options{ConfigYAML: "node:\n  foo: 1"}, "--config-yaml:2: node.foo: no such field in envoy.config.core.v3.Node"},
		{Options{ConfigYAML: "admin: {address: {}}"}, "--config-yaml: admin.address.address: value is required"},
		{Options{ConfigPath: "/does/not/exist"}, "bootstrap: open /does/not/exist: no such file or directory"},
	} {
		if _, err := Load(tc.o); err == nil || err.Error() != tc.want {
			t.Errorf("%+v: got %v, want %s", tc.o, err, tc.want)
		}
	}
}

func TestLoadLarge(t *testing.T) {
	b, err := Load(Options{ConfigPath: write(t, "b.json", large(50, 20, 5))})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(b.StaticResources.Clusters); n != 50 {
		t.Errorf("%d clusters", n)
	}
}

func write(t *testing.T, name, doc string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(doc), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// FuzzLoad: whatever is in a bootstrap, Load gives a valid one or an error
// that says where it was.
func FuzzLoad(f *testing.F) {
	for _, text := range []string{
		"node: {id: a, cluster: b}",
		"admin: {address: {socket_address: {address: 127.0.0.1, port_value: 1}}}",
		`{"static_resources": {"clusters": [{"name": "c", "type": "STATIC", "connectTimeout": "1.5s", "load_assignment": {"cluster_name": "c"}}]}}`,
		"static_resources: {listeners: [{name: l, address: &a {pipe: {path: x}}, filter_chains: [{filters: [{name: f, typed_config: {\"@type\": type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo}}]}]}]}",
		"layered_runtime: {layers: [{name: s, static_layer: {a.b: 1, c: {d: true}}}]}",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		b, err := Load(Options{ConfigYAML: text})
		switch {
		case text == "":
		case err == nil:
			if err := protos.Validate("", b); err != nil {
				t.Errorf("loaded, but not valid: %v", err)
			}
		case b != nil || !strings.HasPrefix(err.Error(), "--config-yaml:"):
			t.Errorf("%v, %v", b, err)
		}
	})
}
