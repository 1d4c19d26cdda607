package manager

import (
	"math/rand/v2"
	"time"

	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/http/filterchain"
	"github.com/weirproxy/weir/proxy/http/http1"
	"github.com/weirproxy/weir/proxy/http/http2"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/overload"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/tracing"
)

// worker is what the connections of one manager share on one worker. It is
// opened by that worker's first connection.
type worker struct {
	cfg      *Config
	index    int
	loop     *network.Loop
	stats    *Stats
	listener *ListenerStats
	http1    http1.Settings
	http2    http2.Settings
	bytes    network.ByteCounters
	rand     *rand.Rand
	nextID   uint64
	free     *stream
	nfree    int
	scratch  filterchain.Scratch
	codecs   []reusableCodec
	retired  bool        // no new connections come
	idle     event.Timer // for the first of the connections that wait
	idleHead *ConnManager
	idleTail *ConnManager
	date     dateCache
	uuid     uuidSource
}

// groups are a manager's statistics.
type groups struct {
	manager  *stats.Group[Stats]
	listener *stats.Group[ListenerStats]
	http1    *stats.Group[http1Stats]
	http2    *stats.Group[http2.Stats]
	tracing  *stats.Group[tracing.Stats] // the tracer's, if there is one
}

func (w *worker) open(c *Config) {
	w.cfg = c
	w.loop.InitTimer(&w.idle, w.onIdle)
	w.stats, w.listener = c.groups.manager.For(w.index), c.groups.listener.For(w.index)
	w.rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	if c.overload != nil {
		w.http1.Sheds = func() bool { return c.overload.Sheds(overload.HTTP1AbortDispatch) }
	}
	w.http1.Counters = c.groups.http1.For(w.index).counters()
	w.bytes = network.ByteCounters{Rx: (*uint64)(&w.stats.DownstreamCxRxBytesTotal), Tx: (*uint64)(&w.stats.DownstreamCxTxBytesTotal)}
}

// settings2 are what HTTP/2 connections share. Their statistics are there from
// the first such connection on.
func (w *worker) settings2() *http2.Settings {
	if w.http2.Counters.GoAwaySent == nil {
		w.http2.Counters = w.cfg.groups.http2.For(w.index).Counters()
		w.http2.Counters.TooManyPrematureResets = (*uint64)(&w.stats.DownstreamRqTooManyPrematureResets)
		if o := w.cfg.overload; o.Reduces(overload.StreamFlush) {
			w.http2.ReduceFlush = func(full time.Duration) (reduced, again time.Duration) {
				return o.Reduced(overload.StreamFlush, full), o.Recheck(full)
			}
		}
	}
	return &w.http2
}

// jittered is d and up to a share of it more.
func (w *worker) jittered(d time.Duration, share float64) time.Duration {
	if share == 0 {
		return d
	}
	return d + time.Duration(w.rand.Float64()*share*float64(d))
}

// maxFreeStreams bounds the streams kept for reuse: some 10 kB each.
const maxFreeStreams = 512

// getStream takes a stream with its filters.
func (w *worker) getStream() *stream {
	if s := w.free; s != nil {
		w.free, s.next = s.next, nil
		w.nfree--
		return s
	}
	cfg := w.cfg
	s := &stream{cfg: cfg, w: w}
	s.idle.Init(w.loop.Dispatcher, cfg.overload, overload.StreamIdle, s.onIdle)
	w.loop.InitTimer(&s.headers, s.onHeadersTimeout)
	w.loop.InitTimer(&s.whole, s.onRequestTimeout)
	w.loop.InitTimer(&s.maxLife, s.onMaxDuration)
	w.loop.InitTimer(&s.periodic, s.logPeriodic)
	m := filterchain.Messages{Request: &s.request, RequestTrailers: &s.requestTrailers, Response: &s.response, ResponseTrailers: &s.responseTrailers}
	s.Init(s, w.loop, w.index, cfg.filters, m, &s.info, &w.scratch)
	return s
}

// putStream recycles a stream: everything back to the start, and new filters
// for those that serve one stream only.
func (w *worker) putStream(s *stream) {
	if w.nfree >= maxFreeStreams || w.retired {
		s.drop()
		return
	}
	s.Restart()
	s.request.Reset()
	s.requestTrailers.Reset()
	s.response.Reset()
	s.responseTrailers.Reset()
	if s.redirected != nil {
		s.redirected.Reset()
	}
	clear(s.watermarks)
	s.watermarks = s.watermarks[:0]
	s.info.Reset()
	s.streamState = streamState{}
	s.next, w.free = w.free, s
	w.nfree++
}

// drop gives up a stream that will not be used again.
func (s *stream) drop() {
	s.idle.Release()
	s.headers.Release()
	s.whole.Release()
	s.maxLife.Release()
	s.periodic.Release()
	s.Drop()
}

// retire has the loop's timers, which may be armed for an hour, let go of what
// there is for new connections: there will be none. Those that there are go on.
func (w *worker) retire() {
	w.retired = true
	for ; w.free != nil; w.free = w.free.next {
		w.free.drop()
	}
	w.nfree = 0
	w.releaseIdle()
}

// releaseIdle lets go of a retired worker's timer that nobody needs.
func (w *worker) releaseIdle() {
	if w.retired && w.idleHead == nil {
		w.idle.Release()
	}
}
