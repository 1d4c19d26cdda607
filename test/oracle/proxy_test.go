//go:build oracle

package oracle

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/internal/testbinary"
)

// proxy is an Envoy or a weir under test.
type proxy struct {
	name        string // "envoy", "weir"
	command     []string
	dir         string
	port, admin int
	xds         int // of a dialogue's control plane
	output      bytes.Buffer
	process     *exec.Cmd
	ended       chan struct{}
}

// findEnvoy is the Envoy to compare with. Without one the test is skipped; CI
// must have it.
func findEnvoy(t *testing.T) string {
	t.Helper()
	name := os.Getenv("ENVOY")
	if name == "" {
		name = "envoy"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("CI needs a real Envoy to compare with: %v", err)
		}
		t.Skipf("no Envoy to compare with: %v", err)
	}
	return path
}

func TestMain(m *testing.M) { testbinary.Main(m) }

func newProxy(t *testing.T, name string, command ...string) *proxy {
	t.Helper()
	return &proxy{name: name, command: command, dir: t.TempDir(), port: freePort(t), admin: freePort(t)}
}

// given are the ports that freePort has given: the kernel may offer one again
// before its proxy listens there.
var given sync.Map

func freePort(t *testing.T) int {
	t.Helper()
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		port := l.Addr().(*net.TCPAddr).Port
		if _, again := given.LoadOrStore(port, true); !again {
			return port
		}
	}
}

// deadPort is a port that refuses connections, and that nobody else can get
// while the test runs: its socket does not listen.
func deadPort(t *testing.T) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	addr, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return addr.(*unix.SockaddrInet4).Port
}

func (p *proxy) log() string { return filepath.Join(p.dir, "access.log") }

func (p *proxy) config(bootstrap []byte) (string, error) {
	file := filepath.Join(p.dir, "bootstrap.json")
	return file, os.WriteFile(file, bootstrap, 0o644)
}

// accepts tells whether the proxy takes a bootstrap, and what it says.
func (p *proxy) accepts(bootstrap []byte) (bool, string, error) {
	file, err := p.config(bootstrap)
	if err != nil {
		return false, "", err
	}
	args := append(p.command[1:], "-c", file, "--mode", "validate", "-l", "error")
	out, err := exec.Command(p.command[0], args...).CombinedOutput()
	return err == nil, string(out), nil
}

// start runs the proxy and waits until it is ready.
func (p *proxy) start(bootstrap []byte) error {
	file, err := p.config(bootstrap)
	if err != nil {
		return err
	}
	args := append(p.command[1:], "-c", file, "--concurrency", "1", "-l", "error")
	p.process = exec.Command(p.command[0], args...)
	p.process.Stdout, p.process.Stderr = &p.output, &p.output
	if err := p.process.Start(); err != nil {
		return err
	}
	p.ended = make(chan struct{})
	go func() { p.process.Wait(); close(p.ended) }()
	for deadline := time.After(15 * time.Second); ; {
		if status, _, err := p.page("/ready"); err == nil && status == 200 {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("%s does not start: %s", p.name, p.said())
		case <-deadline:
			p.stop()
			return fmt.Errorf("%s does not get ready: %s", p.name, p.said())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (p *proxy) said() string {
	out := strings.TrimSpace(p.output.String())
	if len(out) > 1200 { // an error may be followed by the whole configuration
		out = out[:400] + " … " + out[len(out)-800:]
	}
	return out
}

// stop ends the proxy and fails when it was dead already.
func (p *proxy) stop() error {
	select {
	case <-p.ended:
		return fmt.Errorf("%s has died: %s", p.name, p.said())
	default:
	}
	p.process.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
		if !p.process.ProcessState.Success() {
			return fmt.Errorf("%s ends with %v: %s", p.name, p.process.ProcessState, p.said())
		}
		return nil
	case <-time.After(10 * time.Second):
		p.process.Process.Kill()
		<-p.ended
		return fmt.Errorf("%s does not end on SIGTERM", p.name)
	}
}

// page gets a page of the admin interface.
func (p *proxy) page(path string) (status int, body string, err error) {
	m, err := p.adminAnswer("GET", path)
	if err != nil {
		return 0, "", err
	}
	return m.status(), m.Body, nil
}

// adminAnswer is what the admin interface answers.
func (p *proxy) adminAnswer(method, path string) (*message, error) {
	c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", p.admin), 3*time.Second)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n", method, path)
	return readMessage(bufio.NewReader(c), method == "HEAD")
}

// statistics are the values of these names; "" for those that don't exist.
func (p *proxy) statistics(names []string) (map[string]string, error) {
	_, body, err := p.page("/stats")
	all := map[string]string{}
	for line := range strings.Lines(body) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		all[name] = value
	}
	out := map[string]string{}
	for _, name := range names {
		out[name] = all[strings.ReplaceAll(name, "{{port}}", fmt.Sprint(p.port))]
	}
	return out, err
}
