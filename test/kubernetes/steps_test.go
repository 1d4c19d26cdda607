//go:build kubernetes

package kubernetes

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
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

// load is what the client in the shop has to say.
type load struct {
	ok, failed, lost int // lost: failed after they were connected
	last             string
}

func (n *node) load() (l load, err error) {
	ip, err := n.kubectl("-n", "shop", "get", "pods", "-l", "app=client", "-o", "jsonpath={.items[0].status.podIP}")
	if err != nil {
		return l, err
	}
	resp, err := http.Get("http://" + ip + ":9000/")
	if err != nil {
		return l, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return l, err
	}
	_, err = fmt.Sscan(string(text), &l.ok, &l.failed, &l.lost)
	l.last = string(text)
	return l, err
}

// underLoad does something and fails the test if any request failed meanwhile
// and for a second after, or if there were none.
func (n *node) underLoad(t *testing.T, do func()) {
	t.Helper()
	n.underLoadLosing(t, 0, do)
}

// underLoadLosing is underLoad when so many requests may be lost: what a
// program that is killed has under way. None may fail to connect.
func (n *node) underLoadLosing(t *testing.T, lost int, do func()) {
	t.Helper()
	before, err := n.load()
	if err != nil {
		t.Fatal(err)
	}
	do()
	time.Sleep(time.Second) // what breaks a little later
	var after load
	n.eventually(10*time.Second, "the client answers", func() (err error) {
		after, err = n.load()
		return err
	})
	failed := after.failed - before.failed
	if unconnected := failed - (after.lost - before.lost); failed > lost || unconnected > 0 {
		t.Errorf("%d of %d requests failed, of these %d to connect; the last: %s", failed, after.ok-before.ok, unconnected, after.last)
	}
	if after.ok-before.ok < 100 {
		t.Errorf("only %d requests were made", after.ok-before.ok)
	}
	t.Logf("%d requests, %d failed", after.ok-before.ok, failed)
}

func (n *node) runningPodsAreCaught(t *testing.T) {
	n.underLoad(t, func() {
		n.eventually(20*time.Second, "three pods are caught", func() error {
			s, err := n.status()
			if err == nil && len(caught(s)) != 3 {
				err = fmt.Errorf("%+v", s.Pods)
			}
			return err
		})
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
		n.must("kubectl", "-n", system, "rollout", "status", "daemonset", "weir", "--timeout", "2m")
		n.eventually(time.Minute, "the old pod is gone", func() error {
			out, err := n.kubectl("-n", system, "get", "pods", "-o", "name")
			if err == nil && strings.Count(out, "pod/") != 1 {
				err = fmt.Errorf("%s", out)
			}
			return err
		})
	})
	after, err := n.status()
	if err != nil {
		t.Fatal(err)
	}
	if after.PID == before.PID || len(caught(after)) != 3 {
		t.Errorf("before %+v\nafter %+v", before, after)
	}
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
			n.eventually(30*time.Second, "another agent has the pods", func() error {
				now, err := n.status()
				if err == nil && (now.PID == s.PID || len(caught(now)) != 3) {
					err = fmt.Errorf("%+v", now)
				}
				return err
			})
		}
	})
}

// clients is how many requests the load has under way at most.
const clients = 4

func (n *node) proxyKilled(t *testing.T) {
	const kills = 3
	n.underLoadLosing(t, kills*clients, func() {
		for range kills {
			s, err := n.status()
			if err != nil || len(s.Proxies) != 1 {
				t.Fatal(s.Proxies, err)
			}
			if err := syscall.Kill(s.Proxies[0], syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			n.eventually(30*time.Second, "another proxy is there", func() error {
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
	n.apply(crowd)
	for range 5 {
		n.must("kubectl", "-n", "crowd", "scale", "deployment", "crowd", "--replicas", "20")
		n.must("kubectl", "-n", "crowd", "rollout", "status", "deployment", "crowd", "--timeout", "2m")
		if s, err := n.status(); err != nil || len(caught(s)) != 23 {
			t.Errorf("%d pods are caught, not 23: %v", len(caught(s)), err)
		}
		n.must("kubectl", "-n", "crowd", "scale", "deployment", "crowd", "--replicas", "0")
		n.eventually(2*time.Minute, "the crowd is gone", func() error {
			out, err := n.kubectl("-n", "crowd", "get", "pods", "-o", "name")
			if err == nil && out != "" {
				err = fmt.Errorf("%d pods are left", strings.Count(out, "pod/"))
			}
			return err
		})
	}
	n.must("kubectl", "delete", "namespace", "crowd")
	n.eventually(20*time.Second, "nothing is left of them", func() error {
		if after := n.footprint(t); after != before {
			return fmt.Errorf("before %+v, after %+v", before, after)
		}
		return nil
	})
}

const crowd = `
apiVersion: v1
kind: Namespace
metadata: {name: crowd, labels: {weir.dev/catch: "true"}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: crowd, namespace: crowd}
spec:
  replicas: 0
  selector: {matchLabels: {app: crowd}}
  template:
    metadata: {labels: {app: crowd}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - {name: app, image: "weir.dev/app:test", imagePullPolicy: Never, args: [serve, ":8080"]}
`

// optedOut has a pod let go by an annotation, and caught again, in place.
func (n *node) optedOut(t *testing.T) {
	name := n.must("kubectl", "-n", "shop", "get", "pods", "-l", "app=client", "-o", "jsonpath={.items[0].metadata.name}")
	for _, step := range []struct {
		annotation string
		caught     int
	}{{"weir.dev/catch=false", 2}, {"weir.dev/catch-", 3}} {
		n.underLoad(t, func() {
			n.must("kubectl", "-n", "shop", "annotate", "pod", name, step.annotation)
			n.eventually(20*time.Second, step.annotation, func() error {
				s, err := n.status()
				if err == nil && len(caught(s)) != step.caught {
					err = fmt.Errorf("caught: %v", caught(s))
				}
				return err
			})
		})
	}
}
