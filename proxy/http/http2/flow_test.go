package http2

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// TestSendWindows sends a response as windows allow, and END_STREAM once.
func TestSendWindows(t *testing.T) {
	r := newServerRig(t, nil)
	r.u.answer = func(x *exchange) { x.respond("200", strings.Repeat("v", 25)) }
	r.w.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 10})
	r.w.head(1, true, get...)
	r.send()
	r.expect("HEADERS 1 :status=200", "DATA 1 vvvvvvvvvv")
	r.w.WriteWindowUpdate(1, 5)
	r.send()
	r.expect("DATA 1 vvvvv")
	r.w.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 12})
	r.send()
	r.expect("DATA 1 vv")
	r.w.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 2}) // -10 from now on
	r.w.WriteWindowUpdate(1, 10)
	r.send()
	r.expect()
	r.w.WriteWindowUpdate(1, 100)
	r.send()
	r.expect("DATA 1 end vvvvvvvv")
	if n := r.stats.StreamsActive.Value() + r.stats.PendingSendBytes.Value(); n != 0 {
		t.Errorf("streams and bytes left: %d", n)
	}
}

// TestConnectionWindowIsShared: streams take turns when the connection's
// window opens.
func TestConnectionWindowIsShared(t *testing.T) {
	r := newServerRig(t, nil)
	big := strings.Repeat("v", 200_000)
	r.u.answer = func(x *exchange) { x.respond("200", big) }
	r.w.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
	r.w.head(1, true, get...)
	r.w.head(3, true, get...)
	r.send()
	r.conn.Out().Reset()
	r.w.WriteWindowUpdate(0, 256<<10)
	r.send()
	sent := map[string]int{}
	for _, f := range r.replies() {
		sent[f[:6]]++
	}
	if sent["DATA 1"] < 4 || sent["DATA 3"] < 4 {
		t.Errorf("frames: %v", sent)
	}
}

// TestTrailersWait: trailers come behind data that waits for a window, after
// their user has gone.
func TestTrailersWait(t *testing.T) {
	r := newServerRig(t, nil)
	r.u.answer = func(x *exchange) {
		x.res.Add(http.Status, "200")
		x.enc.EncodeHeaders(&x.res, false)
		x.enc.EncodeData(r.u.buffer("abcd"), false)
		x.resTrailers.Add(http.GrpcStatus, x.resTrailers.Own("7"))
		x.enc.EncodeTrailers(&x.resTrailers)
		x.resTrailers.Reset()
		x.enc.SetCallbacks(nil)
	}
	r.w.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 3})
	r.w.head(1, true, get...)
	r.send()
	r.expect("HEADERS 1 :status=200", "DATA 1 abc")
	r.w.WriteWindowUpdate(1, 5)
	r.send()
	r.expect("DATA 1 d", "HEADERS 1 end grpc-status=7")
}

// TestWatermarks: who writes more than a slow peer takes is told, once, and
// told again when there is room.
func TestWatermarks(t *testing.T) {
	r := newServerRig(t, func(s *Settings) { s.StreamWindow = 100_000 })
	r.u.answer = func(x *exchange) {
		x.res.Add(http.Status, "200")
		x.enc.EncodeHeaders(&x.res, false)
		x.enc.EncodeData(r.u.buffer(strings.Repeat("v", 90_000)), false)
		x.enc.EncodeData(r.u.buffer(strings.Repeat("v", 90_000)), false)
		x.enc.EncodeData(r.u.buffer("v"), true)
	}
	r.w.head(1, true, get...)
	r.send()
	x := r.u.streams[0]
	if x.above != 1 || x.below != 0 {
		t.Errorf("above %d times, below %d", x.above, x.below)
	}
	r.w.WriteWindowUpdate(1, 1<<20)
	r.w.WriteWindowUpdate(0, 1<<20)
	r.send()
	if x.above != 1 || r.stats.PendingSendBytes.Value() != 0 {
		t.Errorf("above %d times, %d bytes wait", x.above, r.stats.PendingSendBytes.Value())
	}
}

// TestOutputFull: while the connection's output is above its watermark,
// streams keep what they are given, and go on when it is written.
func TestOutputFull(t *testing.T) {
	r := newServerRig(t, nil)
	var x *exchange
	r.u.answer = func(e *exchange) {
		x = e
		x.res.Add(http.Status, "200")
		x.enc.EncodeHeaders(&x.res, false)
	}
	r.w.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1<<31 - 1})
	r.w.WriteWindowUpdate(0, 1<<31-1-65535)
	r.w.head(1, true, get...)
	r.send()
	r.conn.AddCallbacks(codecCallbacks{r.codec})
	for range 4 {
		x.enc.EncodeData(r.u.buffer(strings.Repeat("v", 1<<20)), false)
	}
	x.enc.EncodeData(r.u.buffer("v"), true)
	if x.above != 1 || r.conn.OutputLen() > 3<<20 {
		t.Errorf("above %d times, %d bytes in the connection", x.above, r.conn.OutputLen())
	}
	total := 0
	for i := 0; i < 100 && r.stats.StreamsActive.Value() > 0; i++ {
		total += r.conn.OutputLen()
		r.conn.Out().Reset()
		r.conn.Flush() // the output is empty, so the watermark is told
	}
	if total < 4<<20 || r.stats.StreamsActive.Value() != 0 {
		t.Errorf("%d bytes were sent, %d streams are left", total, r.stats.StreamsActive.Value())
	}
}

// codecCallbacks pass a connection's watermarks on, as the manager does.
type codecCallbacks struct{ http.ServerConnection }

func (codecCallbacks) OnEvent(network.ConnectionEvent) {}

// TestReadDisable holds data without crediting it until it is taken.
func TestReadDisable(t *testing.T) {
	r := newServerRig(t, func(s *Settings) { s.StreamWindow = 100_000 })
	r.u.onHead = func(x *exchange) { x.enc.ReadDisable(true) }
	r.w.head(1, false, post...)
	for range 6 {
		r.w.WriteData(1, false, make([]byte, 10_000))
	}
	r.w.head(1, true, "x-t: v")
	r.send()
	x := r.u.streams[0]
	if x.body != "" || x.done {
		t.Fatal("data came while reading was disabled")
	}
	r.expect()
	x.enc.ReadDisable(false)
	if x.body != "" {
		t.Fatal("data came from within ReadDisable")
	}
	r.turn()
	if len(x.body) != 60_000 || !x.done || x.trl.Len() != 1 {
		t.Errorf("%d bytes came, done: %v", len(x.body), x.done)
	}
}

// TestCredits: windows are given back when half used.
func TestCredits(t *testing.T) {
	r := newServerRig(t, func(s *Settings) { s.StreamWindow, s.ConnectionWindow = 100_000, 200_000 })
	r.u.onHead = func(*exchange) {}
	r.w.head(1, false, post...)
	for range 6 {
		r.w.WriteDataPadded(1, false, make([]byte, 9_900), make([]byte, 99))
	}
	r.send()
	r.expect("WINDOW_UPDATE 0 134465", "WINDOW_UPDATE 1 50000")
	if n := len(r.u.streams[0].body); n != 59_400 {
		t.Errorf("%d bytes", n)
	}
}

// TestReducedFlushTimeout ends it sooner when the load has risen meanwhile.
func TestReducedFlushTimeout(t *testing.T) {
	left := time.Hour
	r := newServerRig(t, func(s *Settings) {
		s.FlushTimeout = time.Hour
		s.ReduceFlush = func(time.Duration) (reduced, again time.Duration) { return left, time.Minute }
	})
	r.u.answer = func(x *exchange) { x.respond("200", "abc") }
	r.w.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	r.w.head(1, true, get...)
	r.send()
	r.conn.Out().Reset()
	s := r.codec.(*server).streams[1]
	s.onTimer()
	if r.stats.TxFlushTimeout.Value() != 0 || !s.timer.Enabled() {
		t.Fatal("the stream does not wait on")
	}
	left = 0
	s.onTimer()
	if r.stats.TxFlushTimeout.Value() != 1 {
		t.Error("the stream is still there")
	}
}

// TestFlushTimeout ends a stream whose peer does not take its end.
func TestFlushTimeout(t *testing.T) {
	r := newServerRig(t, func(s *Settings) { s.FlushTimeout = 1 })
	r.u.answer = func(x *exchange) { x.respond("200", "abc") }
	r.w.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	r.w.head(1, true, get...)
	r.send()
	r.conn.Out().Reset()
	s := r.codec.(*server).streams[1]
	if !s.timer.Enabled() {
		t.Fatal("no timer runs")
	}
	s.onTimer()
	if r.stats.TxFlushTimeout.Value() != 1 || r.stats.StreamsActive.Value() != 0 {
		t.Error("the stream is still there")
	}
}
