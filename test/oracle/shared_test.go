//go:build oracle

package oracle

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// sharedEdge are the cases of edge.yaml whose features weir has; the rest of
// that file is for later.
var sharedEdge = []string{
	"TCP proxy", "TCP proxy to a dead cluster closes", "PROXY protocol in front", "access log operators", "JSON access log",
	"admin pages", "local reply mapping", "configuration that must be refused",
	"a route to an unknown cluster is refused when clusters are static",
}

// TestShared runs the maintainers' own collection, which lies outside the
// repository and has a runner of its own in Python.
func TestShared(t *testing.T) {
	findEnvoy(t)
	dir := os.Getenv("WEIR_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared")
	}
	script, err := filepath.Abs(filepath.Join(dir, "oracle", "oracle.py"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(script); err != nil {
		t.Skipf("no shared cases beside this repository: %v", err)
	}
	weir, err := findWeir()
	if err != nil {
		t.Fatal(err)
	}
	for file, only := range map[string][]string{"routing.yaml": nil, "http1.yaml": nil, "edge.yaml": sharedEdge} {
		t.Run(file, func(t *testing.T) {
			result := filepath.Join(t.TempDir(), "result.json")
			run := exec.Command("python3", script, "run", filepath.Join(filepath.Dir(script), "cases", file), "--json", result)
			run.Env = append(os.Environ(), "WEIR="+weir)
			said, _ := run.CombinedOutput() // its status is of all cases together
			b, err := os.ReadFile(result)
			if err != nil {
				t.Fatalf("%v\n%s", err, said)
			}
			var cases []struct {
				Case   string
				Agrees bool
				Why    string
			}
			if err := json.Unmarshal(b, &cases); err != nil || len(cases) == 0 {
				t.Fatalf("no results: %v\n%s", err, said)
			}
			for _, c := range cases {
				if only != nil && !slices.Contains(only, c.Case) {
					continue
				}
				t.Run(c.Case, func(t *testing.T) {
					if !c.Agrees {
						t.Error(c.Why)
					}
				})
			}
		})
	}
}
