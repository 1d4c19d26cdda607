package manager

import (
	"time"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/http/filterchain"
	"github.com/weirproxy/weir/proxy/overload"
)

// serverHeader is what becomes of a response's server header.
type serverHeader uint8

const (
	serverOverwrite serverHeader = iota
	serverAppendIfAbsent
	serverPassThrough
)

// finishResponse makes a response fit to be sent: Envoy's encodeHeaders, in
// its order.
func (s *stream) finishResponse(end bool) {
	h, c, m := &s.response, s.cfg, s.m
	switch {
	case c.serverHeader == serverOverwrite, c.serverHeader == serverAppendIfAbsent && !h.Has(http.Server):
		h.Set(http.Server, c.serverName)
	}
	if !h.Has(http.Date) {
		h.Add(http.Date, s.w.date.get(s.w.loop))
	}
	code := statusOf(h)
	s.info.ResponseCode = code
	upgraded := s.upgrade != "" && (code == 101 || s.upgrade == "connect" && code/100 == 2)
	if !upgraded {
		h.Remove(http.Connection)
		h.Remove(http.Upgrade)
	}
	if upgraded {
		s.logTunnel()
	}
	h.Remove(http.TransferEncoding)
	h.Remove(http.KeepAlive)
	h.Remove(http.ProxyConnection)
	if id := s.request.Get(http.XRequestID); id != "" && (c.alwaysSetRequestID || s.request.Has(http.XEnvoyForceTrace)) {
		h.Set(http.XRequestID, h.Own(id))
	}
	s.traceResponse(h)
	if c.via != "" {
		h.Append(http.Via, ", ", c.via)
	}
	if c.proxyStatus != nil && !s.garbled { // Envoy sets the flag of that later
		c.proxyStatus.apply(h, &s.info)
		code = statusOf(h)
		s.info.ResponseCode = code
	}

	if s.info.DrainConnection {
		s.connectionClose = true
	}
	proto := m.protocol
	if m.drain == notDraining && c.drain != nil && c.drain.DrainClose(m.conn.Loop()) {
		m.w.stats.DownstreamCxDrainClose.Inc()
		m.startDrain()
	}
	if m.drain == notDraining && c.overload.DisablesKeepAlive() {
		m.w.stats.DownstreamCxOverloadDisableKeepalive.Inc()
		m.startDrain()
	}
	early := (!s.RequestWhole || s.tooLarge()) && !upgraded
	if early {
		s.w.stats.DownstreamRqResponseBeforeRqComplete.Inc()
	}
	if proto < http.HTTP2 {
		if m.drain == notDraining && c.overload.Sheds(overload.HTTP2GoAway) {
			m.drain = closing
		}
		if s.info.Protocol == "HTTP/1.0" && !h.Has(http.ContentLength) && s.request.Get(http.Method) != "HEAD" {
			s.connectionClose = true // what has no length ends with the connection
		}
		if m.drain == draining || s.connectionClose {
			m.drain = closing
		}
		if early {
			// The connection can't be used for another request. To Envoy a body
			// ends after its last byte, so one that is too large is still under
			// way.
			m.drain = closing
		}
		if m.drain == closing && !upgraded {
			h.Set(http.Connection, "close")
		} else if s.info.Protocol == "HTTP/1.0" && !upgraded {
			h.Set(http.Connection, "keep-alive")
		}
	}
	if proto >= http.HTTP2 && s.connectionClose && m.drain == notDraining {
		m.startDrain()
	}
	s.w.stats.CountStatus(code)
	s.w.listener.CountStatus(code)
}

// statusOf is the response's status as a number, 0 when there is none that
// could be sent.
func statusOf(h *http.HeaderMap) int {
	v := h.Get(http.Status)
	if len(v) != 3 || v[0] < '1' || v[0] > '9' || v[1] < '0' || v[1] > '9' || v[2] < '0' || v[2] > '9' {
		return 0
	}
	return int(v[0]-'0')*100 + int(v[1]-'0')*10 + int(v[2]-'0')
}

// dateCache is the date header's value, made once a second.
type dateCache struct {
	second int64
	value  string
}

// loopClock is what dateCache needs of a loop.
type loopClock interface {
	Unix() int64
	Time() time.Time
}

func (d *dateCache) get(l loopClock) string {
	if now := l.Unix(); now != d.second || d.value == "" {
		d.second = now
		// RFC 9110 section 5.6.7.
		d.value = l.Time().UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")
	}
	return d.value
}

// tooLarge tells that the response is the 413 of a filter chain, be it the
// connection manager's or that of a try upstream.
func (s *stream) tooLarge() bool {
	return s.LocalReply && s.info.ResponseCodeDetails == filterchain.DetailRequestTooLarge
}
