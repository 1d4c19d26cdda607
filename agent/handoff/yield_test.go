package handoff

import (
	"path/filepath"
	"testing"
	"time"
)

// Of several proxies the newest accepts, whatever the order in which they meet
// an agent, until it drains or is gone.
func TestNewestProxyAccepts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	first := startAgent(t, path)
	old, oldEvents := startClient(t, path)
	newer, newerEvents := startClient(t, path)
	wantAcceptor := func(what string, want *events) {
		t.Helper()
		for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
			right := true
			for _, e := range []*events{oldEvents, newerEvents} {
				right = right && e.yields.Load() == (e != want)
			}
			if right {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: the old proxy yields: %v, the newer: %v", what, oldEvents.yields.Load(), newerEvents.yields.Load())
			}
		}
	}
	wantAcceptor("two proxies", newerEvents)
	old.disconnect() // it comes back by itself, as the last
	first.stop()
	second := startAgent(t, path)
	<-second.ready
	<-second.ready
	wantAcceptor("another agent", newerEvents)
	newer.Draining()
	for deadline := time.Now().Add(5 * time.Second); oldEvents.yields.Load(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the old proxy yields to one that drains")
		}
	}
	newer.disconnect() // it says so again
	<-second.ready
	second.server.Add(pod(t, 1))
	newerEvents.want(t, "+1")
	if oldEvents.yields.Load() {
		t.Error("the old proxy yields to one that drains and has come back")
	}
}
