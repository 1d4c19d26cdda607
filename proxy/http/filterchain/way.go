package filterchain

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// way is one of the two directions through a chain: the request's, from the
// first filter to the last, or the response's, back. They differ in which of a
// filter's methods are called, and in what lies at the end: the last filter
// takes the request, the stream writes the response. See sides.go.
type way struct {
	c        *Chain
	response bool
	step     int             // from one filter to the next: 1 or -1
	kept     *network.Buffer // data kept for filters that stopped,
	bodied   bool            // or a body of nothing: the head is not the end
	added    bool            // a filter has added trailers,
	adder    int             // the one of this index
}

func (w *way) init(c *Chain, response bool) {
	w.c, w.response, w.step, w.kept = c, response, 1, c.loop.NewBuffer()
	if response {
		w.step = -1
	}
}

// hold puts b to what is kept. A piece of nothing is a body, too.
func (w *way) hold(b *network.Buffer) {
	w.bodied = w.bodied || b.Len() == 0
	w.kept.Move(b)
}

// holds tells whether a body is kept.
func (w *way) holds() bool { return w.kept.Len() > 0 || w.bodied }

// body is what is kept, nil when there is no body.
func (w *way) body() *network.Buffer {
	if !w.holds() {
		return nil
	}
	return w.kept
}

// forget drops what is kept.
func (w *way) forget() {
	w.kept.Reset()
	w.bodied = false
}

func (w *way) within(i int) bool { return i >= 0 && i < len(w.c.slots) }

// headers gives the message's head to the filters from i on.
func (w *way) headers(i int, end bool) {
	if w.over() {
		return
	}
	const none = -2
	more := none // where the body or trailers begin that filters give a message of a head only
	if end && (w.holds() || w.added) {
		more = i
	}
	stopped := false
	for ; w.within(i); i += w.step {
		f := &w.c.slots[i]
		at := w.at(f)
		if !w.seenBy(f) {
			at.headers = true
			continue
		}
		last := end && !w.holds() && !w.added
		at.end = last
		var status http.HeadersStatus
		if w.response {
			status = f.enc.EncodeHeaders(w.c.Response, last)
		} else {
			status = f.dec.DecodeHeaders(w.c.Request, last)
		}
		if w.over() {
			return
		}
		if end && more == none && (w.holds() || w.added) {
			more = i + w.step
		}
		if status != http.HeadersContinue {
			at.state, stopped = stopFor(status), true
			break
		}
		at.headers = true
	}
	if !stopped && w.response {
		w.c.stream.WriteHead(end && more == none)
	}
	if more == none || w.over() {
		return
	}
	if w.holds() {
		w.release(more, true)
	} else if w.added {
		w.trailers(more)
	}
}

func stopFor(s http.HeadersStatus) iteration {
	switch s {
	case http.HeadersStopIteration:
		return stopSingle
	case http.HeadersStopAllAndBuffer:
		return stopAllBuffer
	case http.HeadersStopAllAndWatermark:
		return stopAllWatermark
	}
	return iterContinue
}

// data gives body bytes to the filters from i on.
func (w *way) data(i int, b *network.Buffer, end bool) {
	if w.over() {
		b.Reset()
		return
	}
	w.touch()
	if w.added && end && (i-w.adder)*w.step > 0 {
		w.dataAndTrailers(i, b)
		return
	}
	for ; w.within(i); i += w.step {
		f := &w.c.slots[i]
		at := w.at(f)
		if !w.seenBy(f) {
			continue
		}
		if at.stopsAll() {
			at.end = at.end || end
			w.keep(f, b, at.state == stopAllWatermark)
			return
		}
		var status http.DataStatus
		if w.response {
			status = f.enc.EncodeData(b, end)
		} else {
			status = f.dec.DecodeData(b, end)
		}
		at.end = end
		if w.over() {
			b.Reset()
			return
		}
		switch status {
		case http.DataStopAndBuffer, http.DataStopAndWatermark:
			at.state = stopSingle
			w.keep(f, b, status == http.DataStopAndWatermark)
			return
		case http.DataStopNoBuffer:
			at.state = stopSingle
			b.Reset()
			return
		}
		if at.state == stopSingle {
			// The filter lets go of all that it had stopped.
			w.hold(b)
			w.resume(f)
			return
		}
		if w.added && end && i == w.adder {
			w.dataAndTrailers(i+w.step, b)
			return
		}
	}
	if w.response {
		w.c.stream.WriteBody(b, end)
		return
	}
	b.Reset()
}

// dataAndTrailers passes the last data on, with the trailers that a filter
// before i has added behind it.
func (w *way) dataAndTrailers(i int, b *network.Buffer) {
	w.data(i, b, false)
	w.trailers(i)
}

// trailers gives the message's trailers to the filters from i on.
func (w *way) trailers(i int) {
	if w.over() {
		return
	}
	w.touch()
	for ; w.within(i); i += w.step {
		f := &w.c.slots[i]
		at := w.at(f)
		if !w.seenBy(f) {
			continue
		}
		at.end = true
		if at.stopsAll() {
			return
		}
		var status http.TrailersStatus
		if w.response {
			status = f.enc.EncodeTrailers(w.c.ResponseTrailers)
		} else {
			status = f.dec.DecodeTrailers(w.c.RequestTrailers)
		}
		if w.over() {
			return
		}
		if status == http.TrailersStopIteration {
			if at.state == iterContinue {
				at.state = stopSingle
			}
			return
		}
		if at.state == stopSingle {
			w.resume(f)
			return
		}
	}
	if w.response {
		w.c.stream.WriteTail()
	}
}

// resume lets what filter f had stopped go on behind it.
func (w *way) resume(f *slot) {
	at := w.at(f)
	if w.over() || at.state == iterContinue && at.headers {
		return
	}
	// A filter that had stopped everything has not seen the data yet.
	next := f.index + w.step
	from := next
	if at.stopsAll() {
		from = f.index
	}
	at.state = iterContinue
	whole, tail := w.ended(at), w.hasTrailers()
	if !at.headers {
		at.headers = true
		w.headers(next, whole && !tail && !w.holds())
	}
	if w.holds() && !w.over() {
		w.release(from, whole && !tail)
	}
	if tail && whole {
		w.trailers(from)
	}
}

// release passes kept data on from filter i.
func (w *way) release(i int, end bool) {
	b := w.c.TakeBuffer()
	b.Move(w.kept)
	w.bodied = false
	for j := range w.c.slots {
		w.unpause(&w.c.slots[j])
	}
	w.data(i, b, end)
	w.c.PutBuffer(b)
}

// inject passes data of filter f's own on behind it, the head first.
func (w *way) inject(f *slot, b *network.Buffer, end bool) {
	if at := w.at(f); !at.headers {
		at.headers = true
		w.headers(f.index+w.step, false)
	}
	if w.kept.Len() == 0 { // the filter has taken it
		w.unpause(f)
	}
	w.data(f.index+w.step, b, end)
}

// keep keeps data for a filter that has stopped; streaming asks the sender to
// wait where that is too much, which otherwise ends the message.
func (w *way) keep(f *slot, b *network.Buffer, streaming bool) {
	w.hold(b)
	limit := w.c.bufferLimit
	switch {
	case limit == 0 || w.kept.Len() <= int(limit):
	case streaming:
		w.pause(f)
	default:
		w.tooLarge(f)
	}
}
