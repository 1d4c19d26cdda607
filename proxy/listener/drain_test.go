package listener

import (
	"testing"
	"time"

	"github.com/weirproxy/weir/proxy/network"
)

// TestDrainGrowsOverTheWindow checks that connections are closed the more
// likely the longer the drain has gone on, and that a parent drains its
// children but not the other way round.
func TestDrainGrowsOverTheWindow(t *testing.T) {
	l, err := network.NewLoop("test", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	closes := func(d *drain) int {
		n := 0
		for range 1000 {
			if d.DrainClose(l) {
				n++
			}
		}
		return n
	}
	for _, c := range []struct {
		ago       time.Duration
		immediate bool
		min, max  int
	}{
		{0, false, 0, 20},
		{50 * time.Second, false, 400, 600},
		{100 * time.Second, false, 1000, 1000},
		{0, true, 1000, 1000},
	} {
		server := &drain{window: 100 * time.Second, immediate: c.immediate}
		child := server.child()
		if n := closes(child); n != 0 {
			t.Errorf("%d of 1000 closed before draining", n)
		}
		server.begin(l.Time().Add(-c.ago))
		if n := closes(child); n < c.min || n > c.max {
			t.Errorf("%v after the start (immediate %v): %d of 1000 closed, want %d to %d", c.ago, c.immediate, n, c.min, c.max)
		}
	}
	parent := &drain{window: time.Second}
	parent.child().begin(l.Time().Add(-time.Hour))
	if closes(parent) != 0 {
		t.Error("a child's drain closed the parent's connections")
	}
}
