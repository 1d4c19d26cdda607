//go:build kubernetes

package kubernetes

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

// footprint is what the agent and the proxy hold. A program that is left would
// be held by a link or a descriptor; all programs of the machine are not
// counted, for they may be others'.
type footprint struct {
	agentFDs, proxyFDs, links, entries, rules int
}

func (n *node) footprint(t *testing.T) (f footprint) {
	t.Helper()
	s, err := n.status()
	if err != nil || len(s.Proxies) != 1 {
		t.Fatal(s.Proxies, err)
	}
	f.agentFDs, f.proxyFDs = fds(t, s.PID), fds(t, s.Proxies[0])
	count := func(args ...string) int {
		var list []json.RawMessage
		out := n.must("bpftool", append([]string{"-j"}, args...)...)
		if err := json.Unmarshal([]byte(out), &list); err != nil {
			t.Fatalf("bpftool %v: %v: %s", args, err, out)
		}
		return len(list)
	}
	links, err := os.ReadDir("/sys/fs/bpf/weir/links")
	if err != nil {
		t.Fatal(err)
	}
	f.links = len(links)
	for _, name := range []string{
		"weir_pods", "weir_pod_addrs", "weir_listeners", "weir_dns_pods",
		"weir_in_exclude", "weir_out_cidrs", "weir_out_ports", "weir_out_uids",
	} {
		f.entries += count("map", "dump", "pinned", "/sys/fs/bpf/weir/"+name)
	}
	f.rules = strings.Count(n.must("ip", "rule"), "\n") // the node's own; a pod's go with it
	return f
}

// fds counts descriptors. Those of connections come and go with the load: only
// what is more than socketSlack of sockets counts.
func fds(t *testing.T, pid int) (n int) {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	sockets := 0
	for _, e := range entries {
		switch target, err := os.Readlink(dir + "/" + e.Name()); {
		case err != nil, strings.HasPrefix(target, "pipe:"):
		case strings.HasPrefix(target, "socket:"):
			sockets++
		default:
			n++
		}
	}
	return n + max(0, sockets-socketSlack)
}

// socketSlack is more than the load and the pods that stay have (64 upstream
// sockets at hand each, when there is much to do), and less than what a hundred
// pods would leave.
const socketSlack = 250
