package agent

import (
	"io"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weirproxy/weir/internal/netnsrig"
)

// Another user gets nothing from the agent's sockets, however well it speaks:
// root alone may control it, and only --proxy-uid gets sockets of pods.
func TestOtherUsersAreRefused(t *testing.T) {
	a := netnsrig.Test(t, "a")[0]
	n := newNode(t)
	n.startAgent()
	n.startProxy()
	n.addPod(a, nil)
	other := func(script string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", "import socket\n"+script)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 4711, Gid: 4711}}
		cmd.Dir = "/"
		out, _ := cmd.CombinedOutput()
		return string(out)
	}
	control := other("s = socket.socket(socket.AF_UNIX)\ns.connect('" + n.opts.controlSocket() + "')")
	if !strings.Contains(control, "PermissionError") {
		t.Errorf("the control socket: %q", control)
	}
	proxies := other(`
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect('` + n.opts.proxySocket() + `')
try:
    s.send(b'{"type":"hello","version":1}')
    s.send(b'{"type":"ready"}')
except (BrokenPipeError, ConnectionResetError):
    pass
try:
    print(len(s.recv(1000)))
except ConnectionResetError:
    print(0)`)
	if strings.TrimSpace(proxies) != "0" {
		t.Errorf("the proxies' socket answers another user: %q", proxies)
	}
	if got := n.status().Proxies; len(got) != 1 {
		t.Errorf("proxies %v, want the one that may", got)
	}
}

// What makes no sense is answered, or ends its connection; the agent goes on.
func TestMalformedControlMessages(t *testing.T) {
	a := netnsrig.Test(t, "a")[0]
	n := newNode(t)
	agent := n.startAgent()
	n.startProxy()
	n.addPod(a, nil)
	before := agent.fds(t)
	for name, tt := range map[string]struct{ request, status string }{
		"not HTTP":       {"\x16\x03\x01\x00\x00\r\n\r\n", "400"},
		"not JSON":       {post("/pods", "pod"), "400"},
		"another type":   {post("/pods", `{"name":7}`), "400"},
		"unknown field":  {post("/pods", `{"name":"b","colour":"red"}`), "400"},
		"too long":       {post("/pods", `{"name":"`+strings.Repeat("x", maxControlBody)+`"}`), "400"},
		"out of the way": {post("/pods", `{"name":"../../b","netns":"/run/netns/none"}`), "400"},
		"no netns":       {post("/starting", `{"name":"b","namespace":"default"}`), "409"},
		"no such page":   {post("/shutdown", "{}"), "404"},
		"another method": {"PUT /status HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "405"},
	} {
		c, err := net.Dial("unix", n.opts.controlSocket())
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(patience))
		io.WriteString(c, tt.request) // may be answered before it is all read
		line := make([]byte, len("HTTP/1.1 400"))
		if _, err := io.ReadFull(c, line); err != nil || !strings.HasSuffix(string(line), tt.status) {
			t.Errorf("%s: %q, %v; want %s", name, line, err, tt.status)
		}
		c.Close()
	}
	if got := n.status().Pods; len(got) != 1 {
		t.Errorf("pods %+v, want the one that was there", got)
	}
	wantAnswer(t, a, service, "outbound "+service)
	n.eventually("descriptors are closed", func() bool { return agent.fds(t) <= before })
}

func post(path, body string) string {
	return "POST " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: " +
		strconv.Itoa(len(body)) + "\r\n\r\n" + body
}
