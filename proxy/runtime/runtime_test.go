package runtime

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/weirproxy/weir/proxy/stats"
)

func load(t *testing.T, text string) (*Loader, error) {
	t.Helper()
	m := &bootstrapv3.LayeredRuntime{}
	if err := protojson.Unmarshal([]byte(text), m); err != nil {
		t.Fatal(err)
	}
	return New("layered_runtime", m, Options{Stats: stats.NewStore()})
}

func TestLayers(t *testing.T) {
	l, err := load(t, `{"layers": [
		{"name": "s", "static_layer": {"a": 1, "b": {"c": "2"}, "flag": true, "f": 1.5, "pct": {"numerator": 5, "denominator": "MILLION"}, "neg": -1}},
		{"name": "admin", "admin_layer": {}}]}`)
	if err != nil {
		t.Fatal(err)
	}
	if got := l.Integer("a", 9); got != 1 {
		t.Errorf("a = %d", got)
	}
	if got := l.Integer("b.c", 9); got != 2 {
		t.Errorf("b.c = %d", got)
	}
	for _, key := range []string{"neg", "f", "flag", "none", ""} {
		if got := l.Integer(key, 9); got != 9 {
			t.Errorf("%q = %d, want the default", key, got)
		}
	}
	if got := l.Number("f", 0); got != 1.5 {
		t.Errorf("f = %v", got)
	}
	if !l.Bool("flag", false) || l.Value("flag", 0) != 1 {
		t.Error("flag is off")
	}
	if err := l.Modify(map[string]string{"a": "7", "new": "x"}); err != nil {
		t.Fatal(err)
	}
	if got := l.Integer("a", 9); got != 7 {
		t.Errorf("a = %d after it was changed", got)
	}
	layers, values := l.Dump()
	if strings.Join(layers, ",") != "s,admin" || strings.Join(values["a"], ",") != "1,7" {
		t.Errorf("layers %v, a %v", layers, values["a"])
	}
	if err := l.Modify(map[string]string{"a": ""}); err != nil || l.Integer("a", 9) != 1 {
		t.Errorf("a = %d after it was taken back: %v", l.Integer("a", 9), err)
	}
}

func TestFractions(t *testing.T) {
	l := Of(map[string]string{"whole": "50", "exact": "{numerator: 1, denominator: TEN_THOUSAND}", "all": "200", "off": "false"})
	m := &corev3.RuntimeFractionalPercent{DefaultValue: &typev3.FractionalPercent{Numerator: 10, Denominator: typev3.FractionalPercent_MILLION}}
	for _, c := range []struct {
		key    string
		random uint64
		want   bool
	}{
		{"none", 9, true}, {"none", 10, false},
		{"whole", 1_000_049, true}, {"whole", 50, false}, // of 100, whatever the default's denominator
		{"exact", 0, true}, {"exact", 1, false},
		{"all", 99, true},
	} {
		m.RuntimeKey = c.key
		if got := l.Fraction(m, Percent{}).Enabled(c.random); got != c.want {
			t.Errorf("%s at %d: %v", c.key, c.random, got)
		}
	}
	flag := &corev3.RuntimeFeatureFlag{DefaultValue: wrapperspb.Bool(true), RuntimeKey: "off"}
	if l.Flag(flag, true).Enabled() {
		t.Error("the flag is on")
	}
	if (Fraction{}).Enabled(0) || !(Flag{otherwise: true}).Enabled() {
		t.Error("without a Loader the defaults count")
	}
}

func TestErrors(t *testing.T) {
	for text, want := range map[string]string{
		`{"layers": [{"name": "a", "static_layer": {"x": null}}]}`:                          "layered_runtime.layers[0].static_layer.x: invalid runtime entry value for x",
		`{"layers": [{"name": "a", "static_layer": {"y": {"x": [1]}}}]}`:                    "invalid runtime entry value for y.x",
		`{"layers": [{"name": "a", "static_layer": {}}, {"name": "a", "admin_layer": {}}]}`: "layers[1].name: duplicate layer name: a",
		`{"layers": [{"name": "a", "admin_layer": {}}, {"name": "b", "admin_layer": {}}]}`:  "too many admin layers",
		`{"layers": [{"name": "a"}]}`:                                                       "needs one of static_layer",
		`{"layers": [{"static_layer": {}}]}`:                                                "layers[0].name: is required",
		`{"layers": [{"name": "a", "disk_layer": {}}]}`:                                     "symlink_root: is required",
	} {
		if _, err := load(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	l, err := load(t, `{"layers": [{"name": "a", "static_layer": {}}]}`)
	if err != nil || l.Modify(map[string]string{"a": "1"}) != ErrNoAdminLayer {
		t.Error("there is no admin layer to modify")
	}
}

func TestDisk(t *testing.T) {
	dir := t.TempDir()
	write := func(version, value string) {
		t.Helper()
		sub := filepath.Join(dir, version, "envoy", "x")
		if err := os.MkdirAll(sub, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(sub, "y"), []byte("# why\n"+value+" \n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(version, filepath.Join(dir, "next")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "next"), filepath.Join(dir, "current")); err != nil {
			t.Fatal(err)
		}
	}
	write("v1", "5")
	l, err := load(t, `{"layers": [{"name": "d", "disk_layer": {"symlink_root": "`+dir+`/current", "subdirectory": "envoy"}}]}`)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if err := l.WatchDisk(ctx); err != nil {
		t.Fatal(err)
	}
	if got := l.Integer("x.y", 0); got != 5 {
		t.Errorf("x.y = %d", got)
	}
	write("v2", "6")
	for deadline := time.Now().Add(10 * time.Second); l.Integer("x.y", 0) != 6; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the new directory is not read")
		}
	}
}
