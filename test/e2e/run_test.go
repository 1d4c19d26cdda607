//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirproxy/weir/internal/cgroup2"
	"github.com/weirproxy/weir/internal/netnsrig"
	"github.com/weirproxy/weir/internal/testbinary"
)

// weirRun runs a command by `weir run` and checks that nothing is left.
func weirRun(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	netnsrig.RequireRoot(t)
	weir, err := testbinary.Weir()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), weir, append([]string{"run"}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Run() // its state tells
	self, err := cgroup2.Self()
	if err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(self, fmt.Sprintf("weir-run-%d*", cmd.Process.Pid))); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// listen serves "hello" on an address of this machine.
func listen(t *testing.T, ip string) (port string) {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "hello") }))
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port
}

func TestRunPassesThrough(t *testing.T) {
	p := netnsrig.Test(t, "server")[0]
	n := &node{t: t}
	n.serve(p, ":80")
	port4, port6 := listen(t, "127.0.0.1"), listen(t, "::1")
	for _, tt := range []struct{ host, told string }{
		{"127.0.0.1:" + port4, "127.0.0.1:" + port4},
		{"[::1]:" + port6, "[::1]:" + port6},
		{"localhost:" + port4, "127.0.0.1:" + port4},
		{p.IPv4.String() + ":80", p.IPv4.String() + ":80"},
		{"[" + p.IPv6.String() + "]:80", "[" + p.IPv6.String() + "]:80"},
		{"[::ffff:" + p.IPv4.String() + "]:80", p.IPv4.String() + ":80"},
	} {
		args := []string{"--", "curl", "-sSg", "http://" + tt.host}
		if strings.HasPrefix(tt.host, "localhost") {
			args = append(args, "-4") // it may be [::1] first
		}
		stdout, stderr, code := weirRun(t, args...)
		if code != 0 || !strings.HasPrefix(stdout, "hello") {
			t.Errorf("%s: code %d, %q", tt.host, code, stdout)
		}
		if lines := strings.Split(stderr, "\n"); len(lines) != 2 || !strings.HasPrefix(lines[0], "weir: "+tt.told+"  ") {
			t.Errorf("%s: told %q, want a line for %s", tt.host, stderr, tt.told)
		}
	}
}

func TestRunKeepsTheExitCode(t *testing.T) {
	for code, command := range map[int]string{0: "true", 7: "exit 7", 143: "kill -TERM $$"} {
		if _, stderr, got := weirRun(t, "sh", "-c", command); got != code || stderr != "" {
			t.Errorf("%s: code %d, want %d; said %q", command, got, code, stderr)
		}
	}
	if _, stderr, code := weirRun(t, "no-such-command"); code != 127 || !strings.Contains(stderr, "no-such-command") {
		t.Errorf("code %d, %q", code, stderr)
	}
}

// With a bootstrap, connections are what it makes of them. The example is the
// one that users are pointed to.
func TestRunBootstrap(t *testing.T) {
	bootstrap := filepath.Join("..", "..", "examples", "run.yaml")
	stdout, stderr, code := weirRun(t, "-c", bootstrap, "--", "curl", "-sSg", "-D", "-", "http://127.0.0.1:"+listen(t, "127.0.0.1"))
	if code != 0 || !strings.HasSuffix(stdout, "hello\n") || !strings.Contains(stdout, "x-served-through: weir") {
		t.Errorf("code %d, %q, %q", code, stdout, stderr)
	}
}
