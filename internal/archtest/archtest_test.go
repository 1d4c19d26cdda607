// Package archtest checks that imports point the way that
// docs/architecture.md says. It asks the go command, so CI runs it uncached
// (go test -count=1).
package archtest

import (
	"bytes"
	"encoding/json"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/weirproxy/weir/"

type pkg struct {
	ImportPath string
	Doc        string
	Imports    []string
	GoFiles    []string
	Dir        string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Doc,Imports,GoFiles,Dir", "../../...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var ps []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); err == io.EOF {
			return ps
		} else if err != nil {
			t.Fatal(err)
		}
		ps = append(ps, p)
	}
}

// rule forbids packages under from to import what is under to.
type rule struct {
	from, to string
	except   []string // importers or imports that may
	why      string
}

var rules = []rule{
	{from: "proxy/", to: "agent/", except: []string{"agent/handoff"}, why: "the proxy knows of the agent only the hand-over protocol"},
	{from: "agent", to: "proxy/", why: "the agent does not depend on the data plane"},
	{from: "proxy/event", to: "", except: []string{"proxy/event"}, why: "the loop is the lowest layer"},
	{from: "proxy/network", to: "proxy/", except: []string{"proxy/network", "proxy/event"}, why: "network stands on event only"},
	{from: "proxy/stats", to: "proxy/", except: []string{"proxy/stats"}, why: "statistics are a leaf"},
	{from: "proxy/streaminfo", to: "proxy/", except: []string{"proxy/streaminfo", "proxy/network"}, why: "stream info is near the bottom"},
	{from: "proxy/http/http1", to: "proxy/http/manager", why: "codecs do not know who uses them"},
	{from: "proxy/http/http2", to: "proxy/http/manager", why: "codecs do not know who uses them"},
	{from: "proxy/", to: "proxy/server", except: []string{"proxy/server"}, why: "the server is the top of the data plane"},
	{from: "proxy/", to: "proxy/admin", except: []string{"proxy/admin", "proxy/server"}, why: "only the server knows the admin pages"},
	{from: "dnsproxy", to: "", except: []string{"dnsproxy"}, why: "proxy and agent both use it: it knows neither"},
	{from: "xds", to: "proxy/", why: "the xDS client does not know the data plane"},
	{from: "bpf", to: "", except: []string{"bpf"}, why: "the eBPF objects stand alone"},
}

func under(path, prefix string) bool {
	p := strings.TrimPrefix(path, module)
	prefix = strings.TrimSuffix(prefix, "/")
	return strings.HasPrefix(path, module) && (prefix == "" || p == prefix || strings.HasPrefix(p, prefix+"/"))
}

func TestImportsPointOneWay(t *testing.T) {
	for _, p := range packages(t) {
		for _, r := range rules {
			if !under(p.ImportPath, r.from) {
				continue
			}
		imports:
			for _, i := range p.Imports {
				if !under(i, r.to) {
					continue
				}
				for _, e := range r.except {
					if under(i, e) || r.from != e && under(p.ImportPath, e) {
						continue imports
					}
				}
				t.Errorf("%s imports %s: %s", p.ImportPath, i, r.why)
			}
		}
	}
}

// TestProtobufsStopAtTheFactories: only files named config*.go, the xds
// packages and proxy/server may know Envoy's protobufs, and only xds and
// proxy/server gRPC.
func TestProtobufsStopAtTheFactories(t *testing.T) {
	for _, p := range packages(t) {
		if !under(p.ImportPath, "proxy/") || under(p.ImportPath, "proxy/server") || under(p.ImportPath, "proxy/admin") {
			continue
		}
		// These write Envoy's own messages to the wire: log entries, metrics.
		if under(p.ImportPath, "proxy/accesslog") || under(p.ImportPath, "proxy/sink") {
			continue
		}
		for _, f := range p.GoFiles {
			// grpc_*.go of a filter speak the protobufs of a gRPC service.
			if strings.HasPrefix(f, "config") || strings.HasPrefix(f, "grpc_") {
				continue
			}
			for _, i := range fileImports(t, p.Dir+"/"+f) {
				if strings.HasPrefix(i, "github.com/envoyproxy/go-control-plane") {
					t.Errorf("%s/%s imports %s: protobufs stop at config.go", p.ImportPath, f, i)
				}
				if strings.HasPrefix(i, "google.golang.org/grpc") {
					t.Errorf("%s/%s imports %s: only xds and proxy/server know gRPC", p.ImportPath, f, i)
				}
			}
		}
	}
}
