//go:build kubernetes

package kubernetes

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/weirproxy/weir/agent"
)

// weir runs a weir command in the agent's container.
func (n *node) weir(args ...string) (string, error) {
	return n.kubectl(append([]string{"-n", system, "exec", "ds/weir", "-c", "agent", "--", "/weir"}, args...)...)
}

func (n *node) status() (s agent.Status, err error) {
	out, err := n.weir("agent", "status", "-o", "json")
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal([]byte(out), &s)
}

// caught are the names of the pods that are caught now.
func caught(s agent.Status) (names []string) {
	for _, p := range s.Pods {
		if p.State == "caught" {
			names = append(names, p.Name)
		}
	}
	return names
}

// ours is how many pods the shop has.
const ours = 4

// wantCaught waits until the shop's pods and so many others are caught.
func (n *node) wantCaught(others int) {
	n.t.Helper()
	n.eventually(2*time.Minute, "the pods are caught", func() error {
		s, err := n.status()
		if err == nil && len(caught(s)) != ours+others {
			err = fmt.Errorf("%d of %d are: %+v", len(caught(s)), ours+others, s.Pods)
		}
		return err
	})
}
