package bandwidthlimit

import (
	"time"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/throttle"
)

// direction is a request or a response on its way. It is the throttle.Out of
// its body.
type direction struct {
	side
	loop    *network.Loop
	stats   *DirectionStats
	body    *throttle.Body
	begun   time.Duration // when the first data came
	pending bool
	waiting int // bytes

	interval     time.Duration
	took         time.Duration // all of the body, once it is over
	delay        time.Duration // that the filter had it wait
	beforeTheEnd func()        // called when the message is over, before its end passes; may be nil
}

// side is what differs between requests and responses.
type side interface {
	inject(b *network.Buffer, end bool)
	PassTrailers()
	Hold()
	Release()
}

func newDirection(cb http.FilterCallbacks, s *settings, st *DirectionStats, of side) *direction {
	d := &direction{side: of, loop: cb.Loop(), stats: st, interval: s.interval}
	d.body = throttle.New(cb.Loop(), s, cb.BufferLimit(), d)
	st.Enabled.Inc()
	return d
}

func (d *direction) write(b *network.Buffer, end bool) {
	if !d.pending {
		d.pending, d.begun = true, d.loop.Now()
		d.stats.Pending.Inc()
	}
	n := b.Len()
	d.waiting += n
	d.stats.IncomingSize.Set(int64(n))
	d.stats.IncomingTotalSize.Add(uint64(n))
	d.body.Write(b, end)
}

func (d *direction) trailers() bool {
	if !d.body.Trailers() {
		return false
	}
	d.finish()
	return true
}

// Pass implements throttle.Out.
func (d *direction) Pass(b *network.Buffer, end bool) {
	n := b.Len()
	d.waiting -= n
	d.stats.AllowedSize.Set(int64(n))
	d.stats.AllowedTotalSize.Add(uint64(n))
	if d.waiting > 0 {
		d.stats.Enforced.Inc()
		d.delay += d.interval
	}
	if end {
		d.finish()
	}
	d.inject(b, end)
}

// PassTrailers implements throttle.Out.
func (d *direction) PassTrailers() {
	d.finish()
	d.side.PassTrailers()
}

// finish counts the message as passed.
func (d *direction) finish() {
	if d.pending {
		d.pending = false
		d.stats.Pending.Dec()
		d.took = d.loop.Now() - d.begun
		d.stats.TransferDuration.Record(uint64(d.took / time.Millisecond))
		if d.beforeTheEnd != nil {
			d.beforeTheEnd()
		}
	}
}

// stop ends a message that is cut off.
func (d *direction) stop() {
	d.body.Stop()
	if d.pending {
		d.pending = false
		d.stats.Pending.Dec()
	}
}

type requestSide struct{ cb http.FilterCallbacks }

func (s requestSide) inject(b *network.Buffer, end bool) { s.cb.InjectDecodedData(b, end) }
func (s requestSide) PassTrailers()                      { s.cb.ContinueDecoding() }
func (s requestSide) Hold()                              { s.cb.OnDecoderAboveHighWatermark() }
func (s requestSide) Release()                           { s.cb.OnDecoderBelowLowWatermark() }

type responseSide struct{ cb http.FilterCallbacks }

func (s responseSide) inject(b *network.Buffer, end bool) { s.cb.InjectEncodedData(b, end) }
func (s responseSide) PassTrailers()                      { s.cb.ContinueEncoding() }
func (s responseSide) Hold()                              { s.cb.OnEncoderAboveHighWatermark() }
func (s responseSide) Release()                           { s.cb.OnEncoderBelowLowWatermark() }
