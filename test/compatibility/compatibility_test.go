package compatibility

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table anew")

const (
	root   = "../../"
	doc    = root + "docs/compatibility.md"
	module = "github.com/envoyproxy/go-control-plane/envoy"
	begin  = "<!-- extensions: go test ./test/compatibility -update -->\n"
	end    = "<!-- end -->\n"
)

// partly says what of an extension weir doesn't do. What it does of the others
// it does whole, but for fields that it refuses by name.
var partly = map[string]string{
	"access_loggers/filters/cel":               "xds.node and listener_direction are known of HTTP streams only",
	"stat_sinks/open_telemetry":                "custom_metric_conversions is refused",
	"tracers/opentelemetry/resource_detectors": "static and environment; not Dynatrace",
	"tracers/opentelemetry/samplers":           "always_on, trace_id_ratio_based, parent_based; not Dynatrace, CEL",
	"upstreams/http":                           "HTTP/1.1 and HTTP/2; not HTTP/3",
	"filters/udp/dns_filter":                   "gives names to the pods of a node ([dns.md](dns.md)); with sockets of its own, client_config or service_list it is refused",
	"filters/udp/udp_proxy":                    "session_filters and tunneling_config are refused",
	"udp_packet_writer":                        "the default writer",
	"filters/network/http_connection_manager":  "fields that weir doesn't know are refused by name",
	"transport_sockets/tls":                    "fields that weir doesn't know are refused by name",
}

// extensions are the directories with messages, without their version:
// "filters/http/router".
func extensions(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		t.Fatal(err)
	}
	base := filepath.Join(strings.TrimSpace(string(out)), "extensions")
	seen := map[string]bool{}
	err = filepath.WalkDir(base, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".pb.go") && filepath.Base(filepath.Dir(path)) == "v3" {
			rel, _ := filepath.Rel(base, filepath.Dir(filepath.Dir(path)))
			seen[rel] = true
		}
		return err
	})
	if err != nil || len(seen) == 0 {
		t.Fatal("no extensions", err)
	}
	return slices.Sorted(maps.Keys(seen))
}

var typeName = regexp.MustCompile(`envoy\.extensions\.([a-z0-9_.]+)\.v3\.`)

// known are the extensions that weir's code imports, or names by type.
func known(t *testing.T) map[string]bool {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=Dir,Imports,GoFiles", root+"proxy/...", root+"xds/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var p struct {
			Dir              string
			Imports, GoFiles []string
		}
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(p.Dir, "xds/protos") {
			continue // links every message
		}
		for _, i := range p.Imports {
			if rest, ok := strings.CutPrefix(i, module+"/extensions/"); ok {
				found[strings.TrimSuffix(rest, "/v3")] = true
			}
		}
		for _, f := range p.GoFiles {
			b, err := os.ReadFile(filepath.Join(p.Dir, f))
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range typeName.FindAllSubmatch(b, -1) {
				found[strings.ReplaceAll(string(m[1]), ".", "/")] = true
			}
		}
	}
	return found
}

func table(t *testing.T) string {
	var b strings.Builder
	b.WriteString(begin + "\n| extension | weir | |\n|---|---|---|\n")
	have := known(t)
	for _, e := range extensions(t) {
		answer, note := "no", ""
		if have[e] {
			answer = "yes"
			if note = partly[e]; note != "" {
				answer = "partly"
			}
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", e, answer, note)
	}
	return b.String() + "\n" + end
}

func TestTable(t *testing.T) {
	text, err := os.ReadFile(doc)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s lacks the marks around the table", doc)
	}
	want := table(t)
	if *update {
		if err := os.WriteFile(doc, []byte(before+want+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(text) != before+want+after {
		t.Errorf("the table in %s is out of date: go test ./test/compatibility -update", doc)
	}
}
