package http2

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/stats"
)

// TestFloods: each flood is ended by ENHANCE_YOUR_CALM, after not many more
// frames than its bound, and counted under its name.
func TestFloods(t *testing.T) {
	open := func(w *wire) { w.head(1, false, post...) }
	for _, c := range []struct {
		name    string
		first   func(*wire)
		each    func(w *wire, i int)
		most    int // frames, at most, before it is ended
		counter func(*Stats) *stats.Counter
		set     func(*Settings)
		answers bool // requests are answered at once
	}{
		{name: "rapid reset", each: func(w *wire, i int) {
			w.head(uint32(2*i+1), true, get...)
			w.WriteRSTStream(uint32(2*i+1), http2.ErrCodeCancel)
		}, most: 500},
		{name: "reset rate", each: func(w *wire, i int) {
			w.head(uint32(2*i+1), true, get...)
			w.WriteRSTStream(uint32(2*i+1), http2.ErrCodeCancel)
		}, most: 15, set: func(s *Settings) { s.ResetBurst, s.ResetRate = 10, 1 }},
		{name: "made you reset", each: func(w *wire, i int) {
			w.head(uint32(2*i+1), false, post...)
			w.WriteRawFrame(http2.FrameWindowUpdate, 0, uint32(2*i+1), make([]byte, 4))
		}, most: 500},
		{name: "made you reset what was answered", each: func(w *wire, i int) {
			w.head(uint32(2*i+1), true, get...)
			w.WriteRawFrame(http2.FrameWindowUpdate, 0, uint32(2*i+1), make([]byte, 4))
		}, most: 500, answers: true},
		{name: "ping", each: func(w *wire, _ int) { w.WritePing(false, [8]byte{}) }, most: 1001, counter: func(s *Stats) *stats.Counter { return &s.OutboundControlFlood }},
		{name: "settings", each: func(w *wire, _ int) { w.WriteSettings() }, most: 1001, counter: func(s *Stats) *stats.Counter { return &s.OutboundControlFlood }},
		{name: "unknown frames", each: func(w *wire, _ int) { w.WriteRawFrame(0xbe, 0, 0, nil) }, most: 1001, counter: func(s *Stats) *stats.Counter { return &s.OutboundControlFlood }},
		{name: "ping, low bound", each: func(w *wire, _ int) { w.WritePing(false, [8]byte{}) }, most: 6,
			set: func(s *Settings) { s.MaxOutboundControlFrames = 5 }, counter: func(s *Stats) *stats.Counter { return &s.OutboundControlFlood }},
		{name: "continuation", first: func(w *wire) {
			w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: w.fields(get...)})
		}, each: func(w *wire, i int) {
			w.WriteContinuation(1, false, w.fields(fmt.Sprintf("x-%d: %s", i, strings.Repeat("v", 500))))
		}, most: 512,
			counter: func(s *Stats) *stats.Counter { return &s.HeaderOverflow }},
		{name: "small continuations", first: func(w *wire) {
			w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: w.fields(get...)})
		}, each: func(w *wire, _ int) { w.WriteContinuation(1, false, []byte{0}) }, most: 514}, // an HPACK error comes first
		{name: "empty continuations", first: func(w *wire) {
			w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: w.fields(get...)})
		}, each: func(w *wire, _ int) { w.WriteContinuation(1, false, nil) }, most: 2, counter: func(s *Stats) *stats.Counter { return &s.InboundEmptyFramesFlood }},
		{name: "empty data", first: open, each: func(w *wire, _ int) { w.WriteData(1, false, nil) }, most: 2,
			counter: func(s *Stats) *stats.Counter { return &s.InboundEmptyFramesFlood }},
		{name: "priority", each: func(w *wire, i int) { w.WritePriority(uint32(2*i+1), http2.PriorityParam{}) }, most: 101,
			counter: func(s *Stats) *stats.Counter { return &s.InboundPriorityFramesFlood }},
		{name: "window update", first: open, each: func(w *wire, _ int) { w.WriteWindowUpdate(0, 1) }, most: 9,
			counter: func(s *Stats) *stats.Counter { return &s.InboundWindowUpdateFramesFlood }},
		{name: "hpack bomb", first: func(w *wire) { w.head(1, true, with(get, "x-bomb: "+strings.Repeat("a", 3900))...) },
			each: func(w *wire, i int) {
				p := append(w.fields(get...), slices.Repeat([]byte{0xbe}, 12000)...)
				w.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 3), EndStream: true, EndHeaders: true, BlockFragment: p})
			}, most: 1, counter: func(s *Stats) *stats.Counter { return &s.HeaderOverflow }},
		{name: "cookie crumbs", each: func(w *wire, i int) {
			lines := slices.Clone(get)
			for range 1200 {
				lines = append(lines, "cookie: a")
			}
			w.head(uint32(2*i+1), true, lines...)
		}, most: 1, counter: func(s *Stats) *stats.Counter { return &s.HeaderOverflow }},
		{name: "streams over the limit", each: func(w *wire, i int) { w.head(uint32(2*i+1), false, post...) }, most: 1024 + 250},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newServerRig(t, c.set)
			var premature uint64
			r.set.Counters.TooManyPrematureResets = &premature
			if !c.answers {
				r.u.answer = func(*exchange) {}
			}
			if c.first != nil {
				c.first(r.w)
			}
			n := 0
			for ; r.err == nil && n < 10000; n++ {
				c.each(r.w, n)
				r.send()
			}
			out := frames(t, r.conn)
			if r.err == nil || n > c.most+1 {
				t.Fatalf("ended after %d frames (%v), bound %d", n, r.err, c.most)
			}
			if last := out[len(out)-1]; !strings.HasSuffix(last, "ENHANCE_YOUR_CALM") && c.name != "small continuations" {
				t.Errorf("ended by %s", last)
			}
			switch {
			case c.counter != nil:
				if got := c.counter(&r.stats).Value(); got != 1 {
					t.Errorf("counted %d times", got)
				}
			case strings.Contains(c.name, "reset") && premature != 1:
				t.Errorf("premature resets were counted %d times", premature)
			}
		})
	}
}

// TestPingsBetweenData: gRPC sends a PING for every batch of data.
func TestPingsBetweenData(t *testing.T) {
	r := newServerRig(t, nil)
	r.u.onHead = func(*exchange) {}
	r.w.head(1, false, post...)
	for range 5000 {
		r.w.WriteData(1, false, []byte("x"))
		r.w.WritePing(false, [8]byte{})
		r.send()
		r.conn.Out().Reset()
	}
	if r.err != nil {
		t.Error(r.err)
	}
}

// TestOutboundFlood: a peer that asks and does not read is ended once so many
// frames wait for it, also when the answers come later.
func TestOutboundFlood(t *testing.T) {
	r := newServerRig(t, func(s *Settings) { s.MaxOutboundFrames = 50 })
	for i := range 60 {
		r.w.head(uint32(2*i+1), true, get...)
		if r.send(); r.err != nil {
			break
		}
	}
	if got := r.stats.OutboundFlood.Value(); got != 1 || r.err == nil {
		t.Errorf("counted %d times, error %v", got, r.err)
	}

	r = newServerRig(t, func(s *Settings) { s.MaxOutboundFrames = 50 })
	r.u.answer = func(*exchange) {}
	for i := range 60 {
		r.w.head(uint32(2*i+1), true, get...)
	}
	r.send()
	for _, x := range r.u.streams {
		x.respond("200", "")
	}
	out := frames(t, r.conn)
	r.turn()
	if got := r.stats.OutboundFlood.Value(); got != 1 || r.conn.Open() {
		t.Errorf("counted %d times, open: %v after %d frames", got, r.conn.Open(), len(out))
	}
}

// TestManySmallMessages: what a stream sends in tiny frames is no flood,
// however many of them a turn gathers.
func TestManySmallMessages(t *testing.T) {
	r := newServerRig(t, nil)
	r.u.answer = func(x *exchange) {
		x.res.Add(http.Status, "200")
		x.enc.EncodeHeaders(&x.res, false)
		for range 30_000 {
			x.enc.EncodeData(r.u.buffer("x"), false)
		}
	}
	r.w.head(1, true, get...)
	if r.send(); r.err != nil || r.stats.OutboundFlood.Value() != 0 {
		t.Errorf("error %v", r.err)
	}
}

// TestHeldMessagesAreBounded: what one stream may keep is its window, and
// what all keep is the connection's.
func TestHeldMessagesAreBounded(t *testing.T) {
	r := newServerRig(t, func(s *Settings) { s.StreamWindow, s.ConnectionWindow = 100_000, 150_000 })
	r.u.onHead = func(x *exchange) { x.enc.ReadDisable(true) }
	chunk := make([]byte, 10_000)
	r.w.head(1, false, post...)
	for range 10 {
		r.w.WriteData(1, false, chunk)
	}
	r.send()
	if r.err != nil {
		t.Fatal(r.err)
	}
	r.w.WriteData(1, false, []byte("x"))
	r.send()
	if r.u.streams[0].reset != http.ProtocolError {
		t.Error("a stream may exceed its window")
	}
	r.w.head(3, false, post...)
	for range 16 {
		r.w.WriteData(3, false, chunk[:9000])
	}
	r.send()
	if r.err != nil {
		t.Errorf("the window of a stream that was reset is not given back: %v", r.err)
	}
}
