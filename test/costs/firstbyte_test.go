//go:build costs

package costs

import (
	_ "embed"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"text/template"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/agent/pods"
	"github.com/weirproxy/weir/internal/netnsrig"
)

//go:embed testdata/bootstrap.yaml
var bootstrap string

// The time from connect to a response's first byte through the node path, and
// from a pod that is not managed by a port of the same proxy; by turns, so
// that both see the same machine.
func TestFirstByte(t *testing.T) {
	const requests = 3000
	n := newNode(t)
	if err := n.StartAgent(t.Context()); err != nil {
		t.Fatal(err)
	}
	caught, other, server := addPod(t, n, "caught"), addPod(t, n, "other"), addPod(t, n, "server")
	hello(t, server)
	var text strings.Builder
	err := template.Must(template.New("").Parse(bootstrap)).Execute(&text, struct{ Server, Node netip.Addr }{server.IPv4, n.Rig.Gateway4})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.StartProxy(t.Context(), text.String(), "--concurrency", "1"); err != nil {
		t.Fatal(err)
	}
	service, port := netip.MustParseAddrPort("203.0.113.9:80"), netip.AddrPortFrom(n.Rig.Gateway4, 15080)
	for _, mode := range []pods.Mode{pods.Mark, pods.Rewrite} {
		if err := n.Client().AddPod(t.Context(), pods.Spec{Name: caught.Name, Netns: caught.Netns, Mode: mode}); err != nil {
			t.Fatal(err)
		}
		var through, direct []float64
		for range requests {
			through = append(through, firstByte(t, caught, service))
			direct = append(direct, firstByte(t, other, port))
		}
		told("first byte from a port of the proxy", medianOf(direct), "µs")
		told("first byte through the node path, by "+string(mode), medianOf(through), "µs")
		measured(t, "  their ratio", medianOf(through)/medianOf(direct), 1.25, "")
		if err := n.Client().RemovePod(t.Context(), "default", caught.Name); err != nil {
			t.Fatal(err)
		}
	}
}

// hello answers every request to the pod.
func hello(t *testing.T, p *netnsrig.Pod) {
	t.Helper()
	l, err := p.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") }))
}

// firstByte connects from the pod, asks, and returns the microseconds until
// the answer begins.
func firstByte(t *testing.T, p *netnsrig.Pod, to netip.AddrPort) (us float64) {
	t.Helper()
	err := p.Do(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_TCP)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		begin := time.Now()
		if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}); err != nil {
			return os.NewSyscallError("connect", err)
		}
		if _, err := unix.Write(fd, []byte("GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n")); err != nil {
			return err
		}
		answer := make([]byte, 1024)
		size, err := unix.Read(fd, answer)
		us = milliseconds(time.Since(begin)) * 1000
		if err == nil && !strings.HasPrefix(string(answer[:size]), "HTTP/1.1 200 OK") {
			err = fmt.Errorf("answered %q", answer[:size])
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return us
}
