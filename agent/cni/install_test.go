package cni

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
)

const primary = `{"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "bridge", "mtu": 1450, "ipam": {"type": "host-local"}}]}`

func pluginTypes(t *testing.T, file string) (types []any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Name    string
		Plugins []map[string]any
	}
	if err := json.Unmarshal(text, &list); err != nil || list.Name != "pods" {
		t.Fatalf("%s: %v", text, err)
	}
	for _, p := range list.Plugins {
		types = append(types, p["type"])
	}
	return types
}

func TestChainAndRemove(t *testing.T) {
	i := Install{BinDir: t.TempDir(), ConfDir: t.TempDir(), RunDir: "/run/weir", OnError: "fail", Log: slog.Default()}
	if _, _, err := i.chain(); err == nil {
		t.Error("no configuration, and no error")
	}
	file := filepath.Join(i.ConfDir, "10-pods.conflist")
	for name, text := range map[string]string{"10-pods.conflist": primary, "20-other.conflist": primary, "README": "-"} {
		if err := os.WriteFile(filepath.Join(i.ConfDir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, change := range []bool{true, false} {
		got, changed, err := i.chain()
		if err != nil || got != file || changed != change {
			t.Fatalf("%s, changed %v, %v", got, changed, err)
		}
		if got := pluginTypes(t, file); len(got) != 2 || got[1] != Binary {
			t.Fatalf("plugins %v", got)
		}
	}
	if got := pluginTypes(t, filepath.Join(i.ConfDir, "20-other.conflist")); len(got) != 1 {
		t.Errorf("a configuration that is not used: %v", got)
	}
	if err := i.copyBinary(); err != nil {
		t.Fatal(err)
	}
	if err := i.Remove(); err != nil {
		t.Fatal(err)
	}
	if got := pluginTypes(t, file); len(got) != 1 {
		t.Errorf("after removal: %v", got)
	}
	if left, _ := os.ReadDir(i.BinDir); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestParseRefuses(t *testing.T) {
	if _, err := parse([]byte(`{"cniVersion": "1.0.0", "name": "x", "type": "weir-cni", "on_error": "shrug"}`)); err == nil {
		t.Error("on_error: shrug is accepted")
	}
}
