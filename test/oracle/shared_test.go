//go:build oracle

package oracle

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/weirproxy/weir/internal/testbinary"
)

// sharedEdge are the cases of edge.yaml whose features weir has; the rest of
// that file is for later.
var sharedEdge = []string{
	"TCP proxy", "TCP proxy to a dead cluster closes", "TLS inspector picks the chain by SNI", "PROXY protocol in front", "access log operators", "JSON access log",
	"admin pages", "local reply mapping", "configuration that must be refused",
	"a route to an unknown cluster is refused when clusters are static",
}

// sharedScript is a script of the maintainers' own collection, which lies
// outside the repository: beside it, or in WEIR_SHARED. CI must have it,
// unless WEIR_SHARED is "none".
func sharedScript(t *testing.T, path ...string) string {
	t.Helper()
	dir := os.Getenv("WEIR_SHARED")
	if dir == "none" {
		t.Skip("WEIR_SHARED=none: no shared cases")
	}
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared")
	}
	script, err := filepath.Abs(filepath.Join(append([]string{dir}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(script); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("CI needs the shared cases beside this repository (or WEIR_SHARED=none): %v", err)
		}
		t.Skipf("no shared cases beside this repository: %v", err)
	}
	return script
}

// python runs a script of the collection with $WEIR. They use fixed ports, so
// each runs in a network namespace of its own, where this is root.
func python(t *testing.T, script string, args ...string) (output string, err error) {
	t.Helper()
	weir, err := testbinary.Weir()
	if err != nil {
		t.Fatal(err)
	}
	command := append([]string{"python3", script}, args...)
	if os.Getuid() == 0 {
		command = append([]string{"unshare", "--net", "sh", "-c", `ip link set lo up && exec "$@"`, "sh"}, command...)
	}
	run := exec.Command(command[0], command[1:]...)
	run.Env = append(os.Environ(), "WEIR="+weir, "ENVOY="+findEnvoy(t))
	out, err := run.CombinedOutput()
	return string(out), err
}

// TestShared has the collection's runner compare weir with Envoy.
func TestShared(t *testing.T) {
	script := sharedScript(t, "oracle", "oracle.py")
	for file, only := range map[string][]string{"routing.yaml": nil, "http1.yaml": nil, "edge.yaml": sharedEdge} {
		t.Run(file, func(t *testing.T) {
			result := filepath.Join(t.TempDir(), "result.json")
			said, err := python(t, script, "run", filepath.Join(filepath.Dir(script), "cases", file), "--json", result)
			b, readErr := os.ReadFile(result)
			if readErr != nil { // err alone is of all cases together
				t.Fatalf("%v: %v\n%s", err, readErr, said)
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

// TestSharedHTTP1 sends the collection's raw requests, good and hostile,
// through weir to a strict upstream. (The codec by itself gets them cut at any
// point: proxy/http/http1, TestSharedCorpus.)
func TestSharedHTTP1(t *testing.T) {
	said, err := python(t, sharedScript(t, "http1", "run.py"), "-v")
	grades := regexp.MustCompile(`(?m)^(ok|near|miss|unsafe|dead) +(\S+): (.*)$`).FindAllStringSubmatch(said, -1)
	if len(grades) == 0 {
		t.Fatalf("%v: no results\n%s", err, said)
	}
	for _, g := range grades {
		t.Run(g[2], func(t *testing.T) {
			if g[1] != "ok" {
				t.Errorf("%s: %s", g[1], g[3])
			}
		})
	}
}
