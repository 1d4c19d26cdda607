package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/weirproxy/weir/agent/netns"
	"github.com/weirproxy/weir/agent/pods"
)

// Starting is a pod that the container runtime sets up: its network namespace
// is there and has its addresses, and none of its containers runs.
type Starting struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	UID       string `json:"uid,omitempty"`
	Netns     string `json:"netns"`
}

// announced is a [pods.Source] that can be told of pods before it sees them.
type announced interface {
	Started(ctx context.Context, namespace, name, uid, netns string) (wanted bool, err error)
	Stopped(netns string)
}

// PodStarting catches the pod before it returns, if a source wants it: no
// connection of the pod's escapes. caught is false if none does.
func (a *Agent) PodStarting(ctx context.Context, s Starting) (caught bool, err error) {
	if s.Name == "" || s.Namespace == "" || s.Netns == "" {
		return false, errors.New("namespace, name and netns must be given")
	}
	for _, source := range a.opts.Sources {
		told, ok := source.(announced)
		if !ok {
			continue
		}
		wanted, err := told.Started(ctx, s.Namespace, s.Name, s.UID, s.Netns)
		if err != nil {
			return false, fmt.Errorf("%s: %w", source.Name(), err)
		}
		if wanted {
			return true, a.awaitCaught(ctx, pods.Key(s.Namespace, s.Name), s.Netns)
		}
	}
	return false, nil
}

// awaitCaught tries until the pod is caught in that namespace. Only for
// addresses that the pod is about to have it is worth waiting.
func (a *Agent) awaitCaught(ctx context.Context, key, path string) error {
	ctx, cancel := context.WithTimeout(ctx, tentativeTimeout)
	defer cancel()
	ns, err := netns.Open(path)
	if err != nil {
		return err
	}
	defer ns.Close()
	for {
		ok, reason := a.isCaught(key, ns)
		if ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("pod %s is not caught: %s", key, reason)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (a *Agent) isCaught(key string, ns *netns.NS) (ok bool, reason string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reconcile()
	if p := a.managed[key]; p != nil && p.ns.Inode() == ns.Inode() {
		return true, ""
	}
	if reason = a.failed[key]; reason == "" {
		reason = "its source does not want it"
	}
	return false, reason
}

// PodStopped tells that the namespace at path is about to go.
func (a *Agent) PodStopped(path string) {
	for _, source := range a.opts.Sources {
		if told, ok := source.(announced); ok {
			told.Stopped(path)
		}
	}
	a.reconcileNow()
}
