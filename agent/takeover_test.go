package agent

import (
	"io"
	"testing"
	"time"

	"github.com/weirproxy/weir/agent/pods"
	"github.com/weirproxy/weir/internal/netnsrig"
)

// An agent takes over from one that runs, also when no proxy is there to hold
// the sockets: connections that wait in them are not lost.
func TestTakeover(t *testing.T) {
	modes(t, func(t *testing.T, mode func(*pods.Spec)) {
		a := netnsrig.Test(t, "a")[0]
		n := newNode(t)
		old := n.startAgent()
		first := n.startProxy()
		n.addPod(a, mode)
		wantAnswer(t, a, service, "outbound "+service)
		first.kill()
		c, err := a.Dial(t.Context(), "tcp", service)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()

		next := n.startAgent()
		n.wantState("a", "caught")
		proxy := n.startProxy()
		c.SetReadDeadline(time.Now().Add(patience))
		if got, err := io.ReadAll(c); string(got) != "outbound "+service {
			t.Errorf("the connection that waited: %q, %v", got, err)
		}
		wantAnswer(t, a, service, "outbound "+service)

		// The one that stands by takes up again when the other is gone.
		next.kill()
		wantAnswer(t, a, service, "outbound "+service)
		n.eventually("the first agent is back", func() bool {
			s, err := n.client().Status(t.Context())
			return err == nil && s.PID == old.cmd.Process.Pid
		})
		n.wantState("a", "caught")
		proxy.kill()
		n.startProxy()
		wantAnswer(t, a, service, "outbound "+service)
	})
}
