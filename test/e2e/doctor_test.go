//go:build e2e

package e2e

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// weir doctor finds nothing wrong with a node that works, what is wrong with
// one that does not, and packs both up.
func TestDoctor(t *testing.T) {
	n := newNode(t)
	n.start()
	n.manage(n.client, nil)
	file := filepath.Join(t.TempDir(), "doctor.tar.gz")
	doctor := func() (string, error) {
		out, err := n.Command(t.Context(), append([]string{"doctor", "--admin", n.AdminAddr(), "-f", file}, n.AgentArgs()...)...).CombinedOutput()
		return string(out), err
	}
	out, err := doctor()
	if err != nil || strings.Contains(out, "✗") || !strings.Contains(out, "✓ 1 pods are caught") {
		t.Errorf("%v:\n%s", err, out)
	}
	files := unpack(t, file)
	for name, want := range map[string]string{
		"findings.txt": "✓ the proxy is ready", "check.json": `"program connect4`, "agent/status.json": `"state": "caught"`,
		"bpf/maps/weir_pods.json": `"default/client"`, "pods/default_client/rules.txt": "fwmark", "pods/default_client/sockets.txt": ":15001",
		"proxy/clusters.txt": "original_dst::", "proxy/config_dump.txt": "static_listeners",
	} {
		if !strings.Contains(files[name], want) {
			t.Errorf("%s has no %q:\n%.300s", name, want, files[name])
		}
	}
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v: others can read it", st.Mode(), err)
	}
	if err := n.Proxy.Stop(); err != nil {
		t.Fatal(err)
	}
	n.eventually("the agent has noticed", func() bool {
		s, err := n.Client().Status(t.Context())
		return err == nil && len(s.Proxies) == 0
	})
	if out, err := doctor(); err == nil || !strings.Contains(out, "✗ pods are caught: no proxy is connected") {
		t.Errorf("without a proxy: %v\n%s", err, out)
	}
}

// unpack reads the archive; names are without their common directory.
func unpack(t *testing.T, file string) map[string]string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zip, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for r := tar.NewReader(zip); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		_, name, _ := strings.Cut(h.Name, "/")
		files[name] = string(text)
	}
}
