package http1

import (
	"errors"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// requestEncoder is the request's end of a client's stream.
type requestEncoder struct{ c *client }

func (r requestEncoder) SetCallbacks(cb http.StreamCallbacks) { r.c.callbacks = cb }

// Bytes implements http.Metered.
func (r requestEncoder) Bytes() http.Bytes {
	return http.Bytes{Received: r.c.rx.count(), Sent: r.c.enc.sent, HeaderSent: r.c.enc.headSent}
}

func (r requestEncoder) Details() string { return r.c.details }

func (r requestEncoder) BufferLimit() uint32 { return r.c.enc.bufferLimit() }

// ResetStream closes the connection: nothing else ends an HTTP/1 request.
func (r requestEncoder) ResetStream(reason http.ResetReason) {
	if r.c.dec != nil {
		r.c.reset(reason)
	}
}

func (r requestEncoder) ReadDisable(off bool) {
	if r.c.dec == nil {
		return
	}
	if off {
		r.c.readOff++
	} else {
		r.c.readOff--
	}
	r.c.enc.conn.ReadDisable(off)
}

var (
	errNoMethod    = errors.New("missing required header: :method")
	errNoPath      = errors.New("missing required header: :path")
	errNoAuthority = errors.New("missing required header: :authority")
	errTarget      = errors.New("invalid header value for: :path")
	errNoStream    = errors.New("the stream has ended")
)

func (r requestEncoder) EncodeHeaders(h *http.HeaderMap, end bool) error {
	c := r.c
	if c.dec == nil {
		return errNoStream
	}
	method, target := h.Get(http.Method), h.Get(http.Path)
	if method == "" {
		return errNoMethod
	}
	c.isHead, c.connect = method == "HEAD", method == "CONNECT"
	c.upgrade = h.Has(http.Upgrade) && readConnection(h).upgrade
	prefix, slashes, host := "", "", ""
	if c.connect {
		target = h.Get(http.Authority)
	} else if c.enc.set.AbsoluteForm && target != "" && target[0] == '/' {
		prefix, slashes, host = h.Get(http.Scheme), "://", h.Get(http.Authority)
	}
	switch {
	case target == "" && c.connect:
		return errNoAuthority
	case target == "":
		return errNoPath
	case !isTarget(method) || !isTarget(target):
		return errTarget
	case h.Odd():
		if err := h.Unencodable(); err != nil {
			return err
		}
	}
	c.enc.left, c.enc.framing = -1, framing{}
	extra := ""
	switch {
	case c.connect || c.upgrade && !h.Has(http.ContentLength):
	case h.Has(http.ContentLength):
		if n, ok := parseLength(h.Get(http.ContentLength)); ok && !c.upgrade {
			c.enc.left = n
		}
	case end:
		if hasBody(method) {
			extra = "content-length: 0\r\n"
		}
	default:
		extra = "transfer-encoding: chunked\r\n"
		c.enc.chunked = true
	}
	start := [7]string{method, " ", prefix, slashes, host, target, " HTTP/1.1\r\n"}
	if !c.enc.head(start[:], h, extra, c.connect) {
		return h.Unencodable()
	}
	if end {
		r.end()
	}
	return nil
}

// hasBody tells whether a request without content says so by a length of 0
// (RFC 9110 section 8.6).
func hasBody(method string) bool {
	switch method {
	case "GET", "HEAD", "DELETE", "TRACE", "CONNECT":
		return false
	}
	return true
}

// isTarget tells whether s can stand in a request line.
func isTarget(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == 0x7f {
			return false
		}
	}
	return true
}

func (r requestEncoder) EncodeData(b *network.Buffer, end bool) {
	c := r.c
	if c.dec == nil || c.sent {
		b.Reset()
		return
	}
	if !c.enc.data(b, end) {
		c.reset(http.LocalReset)
		return
	}
	if end {
		r.end()
	}
}

func (r requestEncoder) EncodeTrailers(t *http.HeaderMap) {
	c := r.c
	if c.dec == nil || c.sent {
		return
	}
	if !c.enc.trailers(t) {
		c.reset(http.LocalReset)
		return
	}
	r.end()
}

func (r requestEncoder) end() {
	c := r.c
	c.sent = true
	if !c.tunnel {
		return
	}
	// A tunnel ends one way at a time.
	c.enc.conn.EndWrite()
	if c.phase == phaseWait {
		c.streamDone(nil)
	}
}

// EnableTCPTunneling ends framing: what follows is raw bytes.
func (r requestEncoder) EnableTCPTunneling() {
	r.c.enc.framing, r.c.enc.left = framing{}, -1
}
