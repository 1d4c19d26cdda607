//go:build kubernetes

package kubernetes

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

func (n *node) runningPodsAreCaught(t *testing.T) {
	n.underLoad(t, func() {
		n.wantCaught(0)
	})
	s, err := n.status()
	if err != nil {
		t.Fatal(err)
	}
	for _, counter := range []string{"outbound_marked", "inbound"} {
		if s.Counters[counter] == 0 {
			t.Errorf("counter %s is 0: %v", counter, s.Counters)
		}
	}
}

func (n *node) rolloutRestart(t *testing.T) {
	before, err := n.status()
	if err != nil {
		t.Fatal(err)
	}
	n.underLoad(t, func() {
		n.must("kubectl", "-n", system, "rollout", "restart", "daemonset", "weir")
		n.rolledOut()
	})
	if after, err := n.status(); err != nil || after.PID == before.PID {
		t.Errorf("the agent is still %d: %v", before.PID, err)
	}
}

// rolledOut waits until the new pod has everything and the old one is gone.
func (n *node) rolledOut() {
	n.t.Helper()
	n.must("kubectl", "-n", system, "rollout", "status", "daemonset", "weir", "--timeout", "5m")
	n.eventually(5*time.Minute, "the old pod is gone", func() error {
		out, err := n.kubectl("-n", system, "get", "pods", "-o", "name")
		if err == nil && strings.Count(out, "pod/") != 1 {
			err = fmt.Errorf("%s", out)
		}
		return err
	})
	n.wantCaught(0)
}

func (n *node) agentKilled(t *testing.T) {
	n.underLoad(t, func() {
		for range 3 {
			s, err := n.status()
			if err != nil {
				t.Fatal(err)
			}
			if err := syscall.Kill(s.PID, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			n.eventually(2*time.Minute, "another agent has the pods", func() error {
				now, err := n.status()
				if err == nil && (now.PID == s.PID || len(caught(now)) != ours) {
					err = fmt.Errorf("%+v", now)
				}
				return err
			})
		}
	})
}

func (n *node) proxyKilled(t *testing.T) {
	n.underLoad(t, func() {
		for range 3 {
			s, err := n.status()
			if err != nil || len(s.Proxies) != 1 {
				t.Fatal(s.Proxies, err)
			}
			if err := syscall.Kill(s.Proxies[0], syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			n.eventually(2*time.Minute, "another proxy is there", func() error {
				now, err := n.status()
				if err == nil && (len(now.Proxies) != 1 || now.Proxies[0] == s.Proxies[0]) {
					err = fmt.Errorf("%+v", now.Proxies)
				}
				return err
			})
		}
	})
}

// podsChurned makes and deletes a hundred pods, and looks for what they leave.
func (n *node) podsChurned(t *testing.T) {
	before := n.footprint(t)
	n.apply("crowd.yaml")
	for range 5 {
		n.must("kubectl", "-n", "crowd", "scale", "deployment", "crowd", "--replicas", "20")
		n.must("kubectl", "-n", "crowd", "rollout", "status", "deployment", "crowd", "--timeout", "5m")
		n.wantCaught(20)
		n.must("kubectl", "-n", "crowd", "scale", "deployment", "crowd", "--replicas", "0")
		n.eventually(5*time.Minute, "the crowd is gone", func() error {
			out, err := n.kubectl("-n", "crowd", "get", "pods", "-o", "name")
			if err == nil && out != "" {
				err = fmt.Errorf("%d pods are left", strings.Count(out, "pod/"))
			}
			return err
		})
	}
	n.must("kubectl", "delete", "namespace", "crowd")
	n.eventually(time.Minute, "nothing is left of them", func() error {
		if after := n.footprint(t); after != before {
			return fmt.Errorf("before %+v, after %+v", before, after)
		}
		return nil
	})
}

// optedOut has a pod let go by an annotation, and caught again, in place.
func (n *node) optedOut(t *testing.T) {
	name := n.must("kubectl", "-n", "shop", "get", "pods", "-l", "app=client", "-o", "jsonpath={.items[0].metadata.name}")
	for _, step := range []struct {
		annotation string
		caught     int
	}{{"weir.dev/catch=false", ours - 1}, {"weir.dev/catch-", ours}} {
		n.underLoad(t, func() {
			n.must("kubectl", "-n", "shop", "annotate", "pod", name, step.annotation)
			n.eventually(time.Minute, step.annotation, func() error {
				s, err := n.status()
				if err == nil && len(caught(s)) != step.caught {
					err = fmt.Errorf("caught: %v", caught(s))
				}
				return err
			})
		})
	}
}
