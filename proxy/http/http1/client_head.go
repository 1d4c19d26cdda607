package http1

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

func (c *client) readHead(b *network.Buffer) (more bool, err *http.CodecError) {
	n := findHead(b, int(c.in.scanned))
	if n == 0 || n > c.enc.set.maxHead() {
		if !startsWithVersion(b.Front()) {
			return false, errStartLine
		}
		if n > 0 || b.Len() > c.enc.set.maxHead() {
			return false, errTooLarge
		}
		c.in.scanned = uint32(b.Len())
		return false, nil
	}
	c.in.scanned = 0
	h := c.dec.ResponseHeaders()
	h.SetLimits(c.enc.set.maxLines(), c.enc.set.maxHead())
	code, http10, err := parseResponse(h, takeHead(b, n, h), c.enc.set)
	if err != nil {
		return false, err
	}
	c.http10 = http10
	if code < 200 && code != 101 {
		return true, c.interimResponse(h)
	}
	return true, c.headDone(h, code, b)
}

// maxInterim bounds the 1xx responses to one request.
const maxInterim = 32

func (c *client) interimResponse(h *http.HeaderMap) *http.CodecError {
	if c.interim++; c.interim > maxInterim {
		return errInterim
	}
	c.dec.Decode1xxHeaders()
	h.Reset()
	return nil
}

// headDone decides how the response is framed and delivers its head (RFC 9112
// section 6.3).
func (c *client) headDone(h *http.HeaderMap, code int, b *network.Buffer) *http.CodecError {
	var conn connectionTokens
	if h.Has(http.Connection) {
		conn = readConnection(h)
	}
	if conn.close || c.http10 && !conn.keepAlive {
		c.closing = true
		c.cb.OnGoAway(0)
	}
	if code == 101 || c.connect && code/100 == 2 {
		if !c.connect && !(c.upgrade && conn.upgrade && h.Has(http.Upgrade)) {
			return errUpgrade
		}
		h.Remove(http.ContentLength)
		h.Remove(http.TransferEncoding)
		c.phase, c.tunnel, c.closing = phaseTunnel, true, true
		if c.connect {
			c.enc.conn.EnableHalfClose(true)
		}
		c.dec.DecodeHeaders(false)
		return nil
	}
	n, chunked, both, err := bodyLength(h, c.http10, c.enc.set)
	if err != nil {
		return err
	}
	c.closing = c.closing || both
	switch {
	case c.isHead || code == 204 || code == 304 || n == 0:
		if code == 204 {
			if chunked {
				return errTENoBody
			}
			if n > 0 {
				return errLength
			}
		}
		c.phase = phaseWait
		c.dec.DecodeHeaders(true)
		c.streamDone(b)
	case chunked:
		c.phase, c.in.chunk, c.in.left = phaseChunked, chunkedStart, 0
		c.dec.DecodeHeaders(false)
	case n > 0:
		c.phase, c.in.left = phaseSized, n
		c.dec.DecodeHeaders(false)
	default:
		c.phase, c.closing = phaseToClose, true
		c.dec.DecodeHeaders(false)
	}
	return nil
}
