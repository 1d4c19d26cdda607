package server

import (
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// trimmer gives memory back to the system when a burst is over: what a
// thousand handshakes have allocated would otherwise stay until the next
// collection, which an idle process may not need for minutes.
type trimmer struct {
	seen    uint64 // bytes allocated when it looked last
	trimmed uint64 // and when it gave memory back last
	sample  [1]metrics.Sample
}

const (
	quietBytes = 256 << 10 // allocated between two looks: the process does little
	worthBytes = 8 << 20   // allocated since the last time: there is something to give back
)

func (t *trimmer) run(stop <-chan struct{}) {
	every := time.NewTicker(500 * time.Millisecond)
	defer every.Stop()
	for {
		select {
		case <-stop:
			return
		case <-every.C:
			t.look()
		}
	}
}

func (t *trimmer) look() {
	t.sample[0].Name = "/gc/heap/allocs:bytes"
	metrics.Read(t.sample[:])
	now := t.sample[0].Value.Uint64()
	quiet := now-t.seen < quietBytes
	t.seen = now
	if quiet && now-t.trimmed > worthBytes {
		debug.FreeOSMemory()
		t.trimmed = now
	}
}
