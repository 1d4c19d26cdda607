//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirproxy/weir/internal/testbinary"
)

// The units are what systemd understands, whole, and expose no more than they
// must by its own count, in tenths of points.
func TestSystemdUnits(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("no systemd here")
	}
	weir, err := testbinary.Weir()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for unit, exposure := range map[string]string{
		"../../deploy/systemd/weir-agent.service": "75", "../../deploy/systemd/weir-proxy.service": "30", "../../vagrant/demo/weir-demo-pods.service": "",
	} {
		text, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, filepath.Base(unit))
		// Their programs must be there.
		text = []byte(strings.NewReplacer("/usr/local/bin/weir", weir, "/usr/local/lib/weir-demo-pods", "/bin/true").Replace(string(text)))
		if err := os.WriteFile(file, text, 0o644); err != nil {
			t.Fatal(err)
		}
		if exposure == "" {
			continue
		}
		out, err := exec.Command("systemd-analyze", "security", "--no-pager", "--offline=true", "--threshold="+exposure, file).CombinedOutput()
		if err != nil {
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			t.Errorf("%s: %v: %s", filepath.Base(unit), err, lines[len(lines)-1])
		}
	}
	units, err := filepath.Glob(filepath.Join(dir, "*.service"))
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("systemd-analyze", append([]string{"verify", "--man=no"}, units...)...).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}
