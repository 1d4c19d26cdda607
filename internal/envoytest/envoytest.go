// Package envoytest runs a real Envoy for tests that compare weir with it.
//
// What comes in: a bootstrap without its admin section. What goes out: a
// running Envoy's admin pages. Tests that use it are skipped where no envoy is
// in PATH.
package envoytest

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Envoy is a running instance.
type Envoy struct{ admin string }

// Start runs an Envoy with this bootstrap (YAML, without admin) until the test
// ends, and returns when it is live.
func Start(t *testing.T, bootstrap string) *Envoy {
	t.Helper()
	binary, err := exec.LookPath("envoy")
	if err != nil {
		t.Skip("no envoy in PATH")
	}
	addressFile := filepath.Join(t.TempDir(), "admin")
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, binary, "--config-yaml",
		"admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}\n"+bootstrap,
		"--admin-address-path", addressFile, "--concurrency", "2", "--disable-hot-restart", "-l", "error")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended })
	e := &Envoy{}
	for deadline := time.After(20 * time.Second); ; {
		if address, err := os.ReadFile(addressFile); err == nil && len(address) > 0 {
			e.admin = "http://" + strings.TrimSpace(string(address))
			if r, err := http.Get(e.admin + "/ready"); err == nil {
				r.Body.Close()
				if r.StatusCode == http.StatusOK {
					return e
				}
			}
		}
		select {
		case <-ended:
			t.Fatalf("envoy ended: %s", stderr.String())
		case <-deadline:
			t.Fatal("envoy did not get ready")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Do asks for a page of the admin interface.
func (e *Envoy) Do(t *testing.T, method, page string) (status int, header http.Header, body string) {
	t.Helper()
	r, err := http.NewRequest(method, e.admin+page, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, answer.Header, string(text)
}

// Get is the body of a page.
func (e *Envoy) Get(t *testing.T, page string) string {
	t.Helper()
	_, _, body := e.Do(t, http.MethodGet, page)
	return body
}

// FreePort is a TCP port of 127.0.0.1 that was free just now.
func FreePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
