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

// hiding is configuration with a secret, which has HIDDEN in it, wherever one
// can be. It is given on the command line, which admin pages show, too.
const hiding = `
static_resources:
  secrets:
  - {name: api, generic_secret: {secret: {inline_string: HIDDEN-generic}}}
  - {name: ticket, session_ticket_keys: {keys: [{inline_string: "HIDDEN-ticket-key-HIDDEN-ticket-key-HIDDEN-ticket-key-HIDDEN-ticket-key-HIDDEN-1"}]}}
  clusters:
  - name: secretive
    type: STATIC
    connect_timeout: 1s
    metadata: {filter_metadata: {app: {access_token: HIDDEN-metadata}}}
    health_checks:
    - {timeout: 1s, interval: 3600s, healthy_threshold: 1, unhealthy_threshold: 1,
       http_health_check: {path: /, request_headers_to_add: [{header: {key: authorization, value: Bearer HIDDEN-check}}]}}
  listeners:
  - name: secretive
    bind_to_port: false
    address: {socket_address: {address: 0.0.0.0, port_value: 15002}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: secretive
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              request_headers_to_add: [{header: {key: X-Api-Key, value: HIDDEN-header}}]
              routes: [{match: {prefix: /, headers: [{name: cookie, string_match: {exact: HIDDEN-cookie}}]}, route: {cluster: secretive}}]
          http_filters:
          - name: envoy.filters.http.basic_auth
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.basic_auth.v3.BasicAuth
              users: {inline_string: "admin:{SHA}HIDDENHIDDENHIDDENHIDDEN123="}
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
`

// What weir doctor packs has no secret in it: it is sent to strangers.
func TestDoctorRemovesSecrets(t *testing.T) {
	t.Setenv("WEIR_TEST_TOKEN", "HIDDEN-environment") // of the agent and the proxy
	n := newNode(t)
	n.startAgent()
	n.startProxy("--config-yaml", hiding)
	n.manage(n.client, nil)
	file := filepath.Join(t.TempDir(), "doctor.tar.gz")
	out, err := n.Command(t.Context(), append([]string{"doctor", "--admin", n.AdminAddr(), "-f", file}, n.AgentArgs()...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	files := unpack(t, file)
	if dump := files["proxy/config_dump.txt"]; !strings.Contains(dump, "secretive") || !strings.Contains(dump, "X-Api-Key") {
		t.Fatalf("the configuration is not there to be searched:\n%.500s", dump)
	}
	for name, text := range files {
		for line := range strings.Lines(text) {
			if strings.Contains(line, "HIDDEN") {
				t.Errorf("%s: %s", name, line)
			}
		}
	}
}
