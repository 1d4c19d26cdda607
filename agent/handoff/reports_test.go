package handoff

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// reporter has n connections.
type reporter struct {
	n     int
	watch chan bool
}

func (r *reporter) Connections() []Connection {
	all := make([]Connection, r.n)
	for i := range all {
		all[i] = Connection{
			Pod: uint32(i + 1), Direction: Outbound, Client: netip.MustParseAddrPort("[fd00::1]:40000"),
			Destination: netip.MustParseAddrPort("[2001:db8::1]:443"), Received: 1 << 63, Sent: 1 << 63, Age: 1e9,
			Service: strings.Repeat("s", 10_000), Peer: strings.Repeat("p", 10_000), // cut to what fits
		}
	}
	return all
}

func (r *reporter) Watch(on bool) { r.watch <- on }

func startReporter(t *testing.T, path string, r *reporter) *Client {
	t.Helper()
	c, err := Dial(path, r)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { c.Run(ctx, &events{seen: make(chan string, 10)}); close(done) }()
	t.Cleanup(func() { cancel(); <-done; c.Close() })
	return c
}

// Two proxies that tell of their connections, and one of before that was.
func TestConnections(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	a := startAgent(t, path)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if got := a.server.Connections(ctx); len(got) != 0 {
		t.Errorf("without a proxy: %d", len(got))
	}
	for _, n := range []int{0, 3 * batchSize, 2*batchSize + 1} {
		startReporter(t, path, &reporter{n: n, watch: make(chan bool, 10)})
		<-a.ready
	}
	startClient(t, path)
	<-a.ready
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		got := a.server.Connections(ctx)
		if len(got) == 5*batchSize+1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d connections, want %d", len(got), 5*batchSize+1)
		}
	}
	if n := len(a.server.reports.pending); n != 0 {
		t.Errorf("%d questions are kept", n)
	}
}

func TestClosed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	a := startAgent(t, path)
	early := &reporter{watch: make(chan bool, 10)}
	c := startReporter(t, path, early)
	<-a.ready
	w := a.server.Watch()
	if !<-early.watch {
		t.Fatal("it was not told to watch")
	}
	late := &reporter{watch: make(chan bool, 10)}
	startReporter(t, path, late)
	if !<-late.watch {
		t.Fatal("one that came later was not told to watch")
	}
	c.Closed([]Connection{{Pod: 7, Direction: Inbound, Service: "x"}})
	if got := fmt.Sprint((<-w.Closed)[0].Pod); got != "7" {
		t.Errorf("pod %s", got)
	}
	a.server.Unwatch(w)
	if <-early.watch {
		t.Error("it was not told that nobody watches any more")
	}
}
