package decompressor

import (
	"github.com/weirproxy/weir/proxy/compression"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
)

// flow is one message on its way through the decompressor.
type flow struct {
	cb       http.FilterCallbacks
	st       *Stats
	failed   *stats.Counter
	x        *compression.Inflater
	inject   func(b *network.Buffer, end bool)
	goOn     func()
	trailing bool // trailers wait for the body's end
	finished bool
	stopped  bool
}

func newFlow(library *compression.Decoder, cb http.FilterCallbacks, st *Stats, failed *stats.Counter) *flow {
	w := &flow{cb: cb, st: st, failed: failed}
	loop := cb.Loop()
	w.x = library.Inflate(func(data []byte, done bool, err error) {
		loop.Post(func() { w.take(data, done, err) })
	})
	return w
}

func (w *flow) feed(b *network.Buffer, end bool) {
	w.st.BytesIn.Add(uint64(b.Len()))
	w.x.Feed(b.Bytes(), end)
	b.Reset()
}

func (w *flow) trailers() http.TrailersStatus {
	if w.finished {
		return http.TrailersContinue
	}
	w.trailing = true
	w.x.Feed(nil, true)
	return http.TrailersStopIteration
}

// take passes on what came out of the decompressor.
func (w *flow) take(data []byte, done bool, err error) {
	if w.stopped {
		return
	}
	if err != nil {
		w.failed.Inc()
		w.cb.ResetStream(http.LocalReset, "decompression_failed")
		return
	}
	w.st.BytesOut.Add(uint64(len(data)))
	b := w.cb.Loop().NewBuffer()
	b.Append(data)
	w.finished = done
	if len(data) > 0 || done && !w.trailing {
		w.inject(b, done && !w.trailing)
	}
	switch {
	case w.stopped:
	case done && w.trailing:
		w.goOn()
	case !done:
		w.x.Took()
	}
}

func (w *flow) stop() {
	w.stopped = true
	w.x.Stop()
}
