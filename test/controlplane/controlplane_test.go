package controlplane

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	module  = "github.com/envoyproxy/go-control-plane"
	message = "Hi, there!\n"
)

func TestIntegration(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	dir := t.TempDir()
	weir, suite := filepath.Join(dir, "weir"), filepath.Join(dir, "suite")
	build(t, weir, "github.com/weirproxy/weir/cmd/weir")
	build(t, suite, module+"/pkg/test/main")
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		t.Fatal(err)
	}
	samples := filepath.Join(strings.TrimSpace(string(out)), "sample")
	for _, s := range []struct {
		name, mode string
		runtimes   int
		args       []string
	}{
		{"ads", "ads", 2, nil},
		{"xds", "xds", 1, nil},
		{"rest", "rest", 1, nil},
		{"mux", "xds", 1, []string{"-mux"}},
		{"delta", "delta", 1, nil},
	} {
		t.Run(s.name, func(t *testing.T) {
			run(t, weir, suite, filepath.Join(samples, "bootstrap-"+s.mode+".yaml"), s.mode, s.runtimes, s.args)
		})
	}
}

func build(t *testing.T, to, pkg string) {
	t.Helper()
	if out, err := exec.Command("go", "build", "-o", to, pkg).CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", pkg, err, out)
	}
}

func run(t *testing.T, weir, suite, sample, mode string, runtimes int, args []string) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, message) }))
	defer upstream.Close()
	_, upstreamPort, _ := net.SplitHostPort(upstream.Listener.Addr().String())
	p := freePorts(t, 4)
	b, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	for i, fixed := range []string{"18000", "18001", "19000", "18090"} {
		b = bytes.ReplaceAll(b, []byte(fixed), []byte(strconv.Itoa(p[i])))
	}
	config := filepath.Join(t.TempDir(), "bootstrap.yaml")
	if err := os.WriteFile(config, b, 0o600); err != nil {
		t.Fatal(err)
	}

	var log bytes.Buffer
	proxy := exec.Command(weir, "proxy", "-c", config, "--drain-time-s", "1")
	proxy.Stdout, proxy.Stderr = &log, &log
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		proxy.Process.Signal(syscall.SIGTERM)
		proxy.Wait()
		if t.Failed() {
			t.Logf("weir:\n%s", log.Bytes())
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	args = append(args, "-xds", mode, fmt.Sprintf("-runtimes=%d", runtimes), "-message", message,
		fmt.Sprintf("-port=%d", p[0]), fmt.Sprintf("-gateway=%d", p[1]), fmt.Sprintf("-als=%d", p[3]),
		"-upstream="+upstreamPort, fmt.Sprintf("-base=%d", freeRange(t, 16)))
	out, err := exec.CommandContext(ctx, suite, args...).CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("passed!")) {
		t.Errorf("%v\n%s", err, out)
	}
}

// freePorts are ports that nobody listens on.
func freePorts(t *testing.T, n int) (ports []int) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// freeRange is the first of n ports in a row that nobody listens on, below
// those that the kernel gives to others.
func freeRange(t *testing.T, n int) int {
	t.Helper()
next:
	for first := 20000; first < 30000; first += n {
		for port := first; port < first+n; port++ {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				continue next
			}
			l.Close()
		}
		return first
	}
	t.Fatal("no ports in a row are free")
	return 0
}
