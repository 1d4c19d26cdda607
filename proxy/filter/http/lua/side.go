package lua

import (
	"errors"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/upstream/async"
)

// waiting is what a side's coroutine has yielded for.
type waiting uint8

const (
	forNothing waiting = iota // it runs, or has ended
	forChunk
	forBody
	forTrailers
	forCall
	forEver // it has answered the request
)

// side is a script's run on a stream's request or response: its coroutine and
// what its handle refers to.
type side struct {
	f        *filter
	v        *vm
	fn       *lua.LFunction
	th       *lua.LState
	response bool

	wait        waiting
	iterated    *http.HeaderMap // the headers or trailers that pairs goes through
	headers     *http.HeaderMap
	wrapped     lua.LValue // them, once the script has asked for them
	trailers    *http.HeaderMap
	body        *network.Buffer // the whole body, once it was waited for
	wrappedBody lua.LValue
	added       *network.Buffer // body, of a message that had none
	end         bool            // the message has ended
	sawBody     bool
	continued   bool // the headers have gone on
	dead        bool
	call        *async.Request
	reply       *reply
}

// reply is an answer that the script gives.
type reply struct {
	status  int
	headers [][2]string
	body    string
}

func (s *side) start() http.HeadersStatus {
	s.f.stats.Executions.Inc()
	s.th = s.v.thread()
	s.resume(s.v.wrap(s.v.l, handleType, s))
	if s.added != nil {
		s.keep(s.added)
	}
	if s.stopped() || s.wait == forBody {
		return http.HeadersStopIteration
	}
	s.continued = true
	return http.HeadersContinue
}

// stopped tells whether the stream has to stand still for a call or an answer.
func (s *side) stopped() bool { return s.wait == forCall || s.wait == forEver }

// resume runs the coroutine on.
func (s *side) resume(args ...lua.LValue) {
	s.wait = forNothing
	var state lua.ResumeState
	err := s.v.run(func() (err error) {
		state, err, _ = s.v.l.Resume(s.th, s.fn, args...)
		return err
	})
	if err == nil && state == lua.ResumeYield && s.wait == forNothing {
		err = errors.New("script performed an unexpected yield")
	}
	if err != nil {
		s.wait = forNothing
		s.f.fail(err)
		return
	}
	if s.reply != nil {
		s.answer()
	}
}

func (s *side) onData(b *network.Buffer, end bool) http.DataStatus {
	if s.dead {
		return http.DataContinue
	}
	s.end, s.sawBody = end, true
	switch {
	case s.wait == forChunk:
		s.resume(s.v.wrap(s.v.l, bodyType, &body{side: s, b: b}))
	case s.wait == forBody && end:
		if s.outgrows(b) {
			return http.DataStopAndBuffer // the chain answers
		}
		s.keep(b)
		s.resume(s.wholeBody()...)
	case s.wait == forTrailers && end:
		s.resume(lua.LNil)
	}
	switch {
	case s.wait == forCall || s.wait == forBody:
		return http.DataStopAndBuffer
	case s.wait == forEver:
		return http.DataStopNoBuffer
	}
	s.continued = true
	return http.DataContinue
}

func (s *side) onTrailers(t *http.HeaderMap) http.TrailersStatus {
	if s.dead {
		return http.TrailersContinue
	}
	s.end, s.trailers = true, t
	switch s.wait {
	case forChunk:
		s.resume(lua.LNil)
	case forBody:
		s.resume(s.wholeBody()...)
	}
	if s.wait == forTrailers {
		s.resume(s.v.wrap(s.v.l, headersType, &headerMap{s, t}))
	}
	if s.stopped() {
		return http.TrailersStopIteration
	}
	s.continued = true
	return http.TrailersContinue
}

// keep puts the last piece of a body to the rest.
func (s *side) keep(b *network.Buffer) {
	if s.response {
		s.f.cb.AddEncodedData(b)
	} else {
		s.f.cb.AddDecodedData(b)
	}
}

// outgrows tells whether a body is too large to be kept, with b.
func (s *side) outgrows(b *network.Buffer) bool {
	n := b.Len()
	if old := s.buffered(); old != nil {
		n += old.Len()
	}
	limit := s.f.cb.BufferLimit()
	return limit > 0 && n > int(limit)
}

// buffered is the body kept so far, nil when there is none.
func (s *side) buffered() *network.Buffer {
	if s.response {
		return s.f.cb.EncodingBuffer()
	}
	return s.f.cb.DecodingBuffer()
}

// wholeBody is the body for the script; no value when it is empty.
func (s *side) wholeBody() []lua.LValue {
	if s.body == nil {
		s.body = s.buffered()
	}
	if s.body == nil {
		return nil
	}
	if s.wrappedBody == nil {
		s.wrappedBody = s.v.wrap(s.v.l, bodyType, &body{side: s, b: s.body})
	}
	return []lua.LValue{s.wrappedBody}
}

// goOn resumes the stream after a call.
func (s *side) goOn() {
	if s.dead || s.stopped() || s.wait == forBody {
		return
	}
	s.continued = true
	if s.response {
		s.f.cb.ContinueEncoding()
	} else {
		s.f.cb.ContinueDecoding()
	}
}

// answer sends the script's answer. It is not sent from within the script:
// the answer's own envoy_on_response runs on the same machine.
func (s *side) answer() {
	r := s.reply
	s.reply = nil
	s.f.cb.SendLocalReply(r.status, r.body, func(h *http.HeaderMap) {
		for _, l := range r.headers {
			h.AddName(h.Own(l[0]), h.Own(l[1]))
		}
	}, http.NoGrpcStatus, "lua_response")
}

func (s *side) destroy() {
	s.dead = true
	if s.call != nil {
		s.call.Cancel()
		s.call = nil
	}
}

// text copies a string of the stream for the script.
func text(s string) lua.LValue { return lua.LString(strings.Clone(s)) }
