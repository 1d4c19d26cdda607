package agent

import (
	"strings"
	"testing"

	"github.com/weirproxy/weir/agent/pods"
	"github.com/weirproxy/weir/internal/netnsrig"
)

// DNS is caught as the agent's default or the pod says, stays so while the
// agent is away, and nothing of it is left behind.
func TestDNS(t *testing.T) {
	rig := netnsrig.Test(t, "asks", "silent")
	n := newNode(t)
	n.opts.DNS = true
	agent := n.startAgent()
	proxy := n.startProxy()
	n.addPod(rig[0], nil)
	n.addPod(rig[1], func(s *pods.Spec) { no := false; s.DNS = &no })
	sockets := func(p *netnsrig.Pod) string {
		t.Helper()
		out, err := p.Output(t.Context(), "sh", "-c", "ss -Huane | grep -o 'sk:[0-9a-f]*' | sort")
		if err != nil {
			t.Fatal(err, out)
		}
		return out
	}
	before := sockets(rig[0])
	if strings.Count(before, "sk:") != 2 || sockets(rig[1]) != "" {
		t.Errorf("sockets %q and %q, want two and none", before, sockets(rig[1]))
	}
	for _, p := range n.status().Pods {
		if p.DNS != (p.Name == "asks") {
			t.Errorf("pod %s: DNS %v", p.Name, p.DNS)
		}
	}

	agent.kill()
	n.opts.DNS = false // the pod is caught by what the next agent says
	agent = n.startAgent()
	n.wantState("asks", "caught")
	n.eventually("the proxy has let go of the sockets", func() bool { return sockets(rig[0]) == "" })
	agent.kill()
	n.opts.DNS = true
	agent = n.startAgent()
	n.wantState("asks", "caught")
	before = sockets(rig[0])
	agent.kill()
	agent = n.startAgent()
	n.wantState("asks", "caught")
	if got := sockets(rig[0]); got != before {
		t.Errorf("the proxy returned %q, but had %q", got, before)
	}

	proxy.kill()
	agent.kill()
	if _, err := Cleanup(t.Context(), n.opts); err != nil {
		t.Fatal(err)
	}
	for _, p := range rig {
		if left := n.left(p); left != "" {
			t.Errorf("left in %s:\n%s", p.Name, left)
		}
	}
}
