package server

import (
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// keeper looks after the process's memory.
//
// It gives memory back to the system when a burst is over: what a thousand
// handshakes have allocated would otherwise stay until the next collection,
// which an idle process may not need for minutes.
//
// It has a small heap collected less often than Go would, which is whenever as
// much has been allocated as lives: of a few megabytes, that is every hundred
// handshakes.
type keeper struct {
	seen    uint64 // bytes allocated when it looked last
	trimmed uint64 // and when it gave memory back last
	percent uint64 // of what lives, after which the collector runs
	samples [2]metrics.Sample
}

const (
	quietBytes = 256 << 10 // allocated between two looks: the process does little
	worthBytes = 2 << 20   // allocated since the last time, and a quarter of what lives: there is something to give back
	leastBytes = 16 << 20  // allocated between two collections
)

func newKeeper() *keeper {
	k := &keeper{percent: 100}
	k.samples[0].Name = "/gc/heap/allocs:bytes"
	k.samples[1].Name = "/gc/heap/live:bytes"
	return k
}

func (k *keeper) run(stop <-chan struct{}) {
	every := time.NewTicker(500 * time.Millisecond)
	defer every.Stop()
	for {
		select {
		case <-stop:
			return
		case <-every.C:
			k.look()
		}
	}
}

func (k *keeper) look() {
	metrics.Read(k.samples[:])
	allocated, live := k.samples[0].Value.Uint64(), k.samples[1].Value.Uint64()
	quiet := allocated-k.seen < quietBytes
	k.seen = allocated
	k.pace(live)
	if quiet && allocated-k.trimmed > max(worthBytes, live/4) {
		debug.FreeOSMemory()
		k.trimmed = allocated
	}
}

// pace sets when the collector runs next, unless the environment says (GOGC).
func (k *keeper) pace(live uint64) {
	percent := pace(live)
	if percent == k.percent || os.Getenv("GOGC") != "" {
		return
	}
	debug.SetGCPercent(int(percent))
	k.percent = percent
}

// pace is the percentage for a heap of which so much lives: 100, or as many
// hundreds as leastBytes take.
func pace(live uint64) uint64 {
	if live == 0 || live >= leastBytes {
		return 100
	}
	return 100 * min((leastBytes+live-1)/live, 10)
}
