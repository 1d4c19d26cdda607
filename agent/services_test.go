package agent

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/weirproxy/weir/internal/netnsrig"
)

// Services of the configuration file are balanced, with and without a proxy,
// until the file says otherwise.
func TestServices(t *testing.T) {
	rig := netnsrig.Test(t, "a", "server")
	a, server := rig[0], rig[1]
	serve(t, server, ":7000", "app")
	n := newNode(t)
	n.opts.Config = filepath.Join(n.opts.RunDir, "agent.yaml")
	pod := "pods: [{name: a, netns: " + a.Netns + "}]\n"
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(n.opts.Config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(pod + `services: [{name: shop/app, address: "` + service + `", endpoints: ["` + netip.AddrPortFrom(server.IPv4, 7000).String() + `"]}]`)
	agent := n.startAgent()
	want := "app to " + a.IPv4.String()
	wantAnswer(t, a, service, want)
	agent.kill()
	wantAnswer(t, a, service, want)
	agent = n.startAgent()
	wantAnswer(t, a, service, want)
	var table bytes.Buffer
	s := n.status()
	if err := s.WriteTable(&table); err != nil || !strings.Contains(table.String(), "shop/app") || s.Counters["balanced"] != 3 {
		t.Errorf("%v, %v\n%s", err, s.Counters, &table)
	}
	n.startProxy()
	write(pod)
	if err := agent.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	n.eventually("the proxy gets it", func() bool { return ask(t, a, service) == "outbound "+service })
}
