package run

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/weirproxy/weir/internal/cgroup2"
	"github.com/weirproxy/weir/internal/netnsrig"
	"github.com/weirproxy/weir/internal/tcprig"
)

// This test binary is also the run that a test kills.
func TestMain(m *testing.M) {
	if os.Getenv("WEIR_TEST_ROLE") != "run" {
		os.Exit(m.Run())
	}
	code, err := Run(context.Background(), Options{
		Command: os.Args[1:], Proxy: os.Getenv("WEIR_TEST_PROXY"), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// output collects what several processes write.
type output struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func envoy(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("envoy")
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("CI must have envoy")
	}
	t.Skip("no envoy in PATH")
	return ""
}

// server is a pod that answers "hello" to everyone at port 80.
func server(t *testing.T) *netnsrig.Pod {
	t.Helper()
	p := netnsrig.Test(t, "server")[0]
	l, err := p.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	tcprig.Serve(t, l, func(c net.Conn) { fmt.Fprint(c, "hello\n") })
	return p
}

func runIt(t *testing.T, command ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs output
	code, err := Run(t.Context(), Options{Command: command, Proxy: envoy(t), Stdout: &out, Stderr: &errs})
	if err != nil && code == 0 {
		t.Error(err)
	}
	if left := leftCgroups(t); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	return out.String(), errs.String(), code
}

func leftCgroups(t *testing.T) []string {
	t.Helper()
	self, err := cgroup2.Self()
	if err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(self, fmt.Sprint(prefix, os.Getpid(), "*")))
	if err != nil {
		t.Fatal(err)
	}
	return left
}

const client = `
import socket, sys
for host in sys.argv[1:]:
    s = socket.create_connection((host, 80), 5)
    print(s.recv(100).decode().strip(), "from", s.getpeername()[0])`

func TestPassThrough(t *testing.T) {
	p := server(t)
	ip4, ip6 := p.IPv4.String(), p.IPv6.String()
	stdout, stderr, code := runIt(t, "python3", "-c", client, ip4, ip6, "::ffff:"+ip4)
	if want := "hello from " + ip4 + "\nhello from " + ip6 + "\nhello from ::ffff:" + ip4 + "\n"; code != 0 || stdout != want {
		t.Errorf("code %d, %q; want %q", code, stdout, want)
	}
	var told []string
	for line := range strings.Lines(stderr) {
		told = append(told, strings.Fields(line)[1])
	}
	slices.Sort(told) // they are told as they end
	want := []string{ip4 + ":80", ip4 + ":80", "[" + ip6 + "]:80"}
	if fmt.Sprint(told) != fmt.Sprint(want) {
		t.Errorf("connections told of %q, want %q:\n%s", told, want, stderr)
	}
	if !strings.Contains(stderr, "6 B received") {
		t.Errorf("no bytes told:\n%s", stderr)
	}
}

// What runs on this machine is reached through the proxy, too.
func TestLoopbackIsCaught(t *testing.T) {
	netnsrig.RequireRoot(t)
	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "hello", r.Host) })
	listen := func(ip string) (port string) {
		l, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go http.Serve(l, hello)
		_, port, _ = net.SplitHostPort(l.Addr().String())
		return port
	}
	port4, port6 := listen("127.0.0.1"), listen("::1")
	for _, tt := range []struct{ host, told string }{
		{"127.0.0.1:" + port4, "127.0.0.1:" + port4},
		{"localhost:" + port4, "127.0.0.1:" + port4},
		{"0.0.0.0:" + port4, "0.0.0.0:" + port4},
		{"[::ffff:127.0.0.1]:" + port4, "127.0.0.1:" + port4},
		{"[::1]:" + port6, "[::1]:" + port6},
	} {
		stdout, stderr, code := runIt(t, "curl", "-sSg", "http://"+tt.host+"/")
		if code != 0 || stdout != "hello "+tt.host+"\n" || !strings.Contains(stderr, tt.told+"  ") {
			t.Errorf("%s: code %d, %q; told:\n%s", tt.host, code, stdout, stderr)
		}
	}
}

func TestOwnBootstrap(t *testing.T) {
	p := server(t)
	port, err := freePort(true)
	if err != nil {
		t.Fatal(err)
	}
	bootstrap := filepath.Join(t.TempDir(), "bootstrap.yaml")
	if err := os.WriteFile(bootstrap, []byte(passThrough(port, true)), 0o600); err != nil {
		t.Fatal(err)
	}
	var out output
	code, err := Run(t.Context(), Options{
		Command: []string{"python3", "-c", client, p.IPv6.String()},
		Proxy:   envoy(t), Bootstrap: bootstrap, Port: port, Stdout: &out, Stderr: t.Output(),
	})
	if want := "hello from " + p.IPv6.String() + "\n"; code != 0 || err != nil || out.String() != want {
		t.Errorf("code %d, %v, %q; want %q", code, err, out.String(), want)
	}
}

func TestOnlyTheCommandIsCaught(t *testing.T) {
	p := server(t)
	addr := net.JoinHostPort(p.IPv4.String(), "80")
	go func() {
		for range 20 {
			if c, err := net.Dial("tcp", addr); err == nil {
				c.Close()
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	_, stderr, _ := runIt(t, "sleep", "0.3")
	if stderr != "" {
		t.Errorf("told of connections of others:\n%s", stderr)
	}
}

func TestFailedConnection(t *testing.T) {
	p := server(t)
	_, stderr, code := runIt(t, "curl", "-sS", "-m", "5", "http://"+net.JoinHostPort(p.IPv4.String(), "82"))
	if code == 0 || !strings.Contains(stderr, ":82  0 B sent, 0 B received") || !strings.Contains(stderr, "cannot connect") {
		t.Errorf("code %d:\n%s", code, stderr)
	}
}

func TestExitCodes(t *testing.T) {
	for _, tt := range []struct {
		command []string
		code    int
	}{
		{[]string{"true"}, 0},
		{[]string{"sh", "-c", "exit 3"}, 3},
		{[]string{"sh", "-c", "kill -TERM $$"}, 143},
		{[]string{"no-such-command"}, 127},
	} {
		if _, _, code := runIt(t, tt.command...); code != tt.code {
			t.Errorf("%q: code %d, want %d", tt.command, code, tt.code)
		}
	}
}

func TestEndsWhatTheCommandLeftRunning(t *testing.T) {
	stdout, _, code := runIt(t, "sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!")
	pid := 0
	fmt.Sscan(stdout, &pid)
	if code != 0 || pid == 0 {
		t.Fatalf("code %d, %q", code, stdout)
	}
	wantEnded(t, pid)
}

func TestProxyThatDoesNotStart(t *testing.T) {
	netnsrig.RequireRoot(t)
	code, err := Run(t.Context(), Options{Command: []string{"true"}, Proxy: "/bin/false", Stdout: os.Stdout, Stderr: os.Stderr})
	if code != 1 || err == nil || !strings.Contains(err.Error(), "did not start") {
		t.Errorf("code %d, %v", code, err)
	}
	if left := leftCgroups(t); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestSignals(t *testing.T) {
	netnsrig.RequireRoot(t)
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
		t.Run(sig.String(), func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "sh", "-c", "echo $$; exec sleep 1000")
			cmd.Env = append(os.Environ(), "WEIR_TEST_ROLE=run", "WEIR_TEST_PROXY="+envoy(t))
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // not of the test's terminal
			cmd.Stderr = t.Output()
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			child := 0
			if _, err := fmt.Fscan(stdout, &child); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			cmd.Wait()
			if want := 128 + int(sig); sig != syscall.SIGKILL && cmd.ProcessState.ExitCode() != want {
				t.Errorf("exit code %d, want %d", cmd.ProcessState.ExitCode(), want)
			}
			dir := filepath.Join(selfCgroup(t), fmt.Sprint(prefix, cmd.Process.Pid))
			if sig == syscall.SIGKILL {
				if removed, err := Sweep(); err != nil || !slices.Contains(removed, "cgroup "+dir) {
					t.Errorf("swept %q, %v; want %s", removed, err, dir)
				}
			}
			if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s is left: %v", dir, err)
			}
			wantEnded(t, child)
		})
	}
}

// wantEnded takes a zombie for ended: its parent is gone, and who reaps it
// is not ours to say.
func wantEnded(t *testing.T, pid int) {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err == nil && !strings.Contains(string(stat), ") Z ") {
		t.Errorf("process %d still runs: %s", pid, stat)
	}
}

func selfCgroup(t *testing.T) string {
	t.Helper()
	dir, err := cgroup2.Self()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestDescribe(t *testing.T) {
	for line, want := range map[string]string{
		"192.0.2.1:80 78 1234567 42 -":   "192.0.2.1:80  78 B sent, 1.23 MB received, 42 ms",
		"[2001:db8::1]:443 0 0 3 UF,URX": "[2001:db8::1]:443  0 B sent, 0 B received, 3 ms: cannot connect",
		"192.0.2.1:80 1 2 3 XY":          "192.0.2.1:80  1 B sent, 2 B received, 3 ms: XY",
		"something else":                 "something else",
	} {
		if got := describe(line, nil); got != want {
			t.Errorf("describe(%q) = %q, want %q", line, got, want)
		}
	}
}
