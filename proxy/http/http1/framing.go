package http1

import "github.com/weirproxy/weir/proxy/http"

// parseLength reads a content-length: digits only (RFC 9110 section 8.6).
func parseLength(v string) (n int64, ok bool) {
	if len(v) == 0 {
		return 0, false
	}
	for i := range len(v) {
		d := v[i] - '0'
		if d > 9 || n > (1<<63-1-9)/10 {
			return 0, false
		}
		n = n*10 + int64(d)
	}
	return n, true
}

// bodyLength says how the message whose head is h is framed: n bytes, or
// chunked, or neither (n < 0) when its head does not tell (RFC 9112 section
// 6.3). both is set when the head had both and the length was dropped.
func bodyLength(h *http.HeaderMap, http10 bool, s *Settings) (n int64, chunked, both bool, err *http.CodecError) {
	n = -1
	// A length beside a transfer coding is not even looked at.
	hasLength, coded := h.Has(http.ContentLength), h.Has(http.TransferEncoding)
	if hasLength && !coded {
		v := h.Get(http.ContentLength)
		var ok bool
		if n, ok = parseLength(v); !ok {
			return 0, false, false, errLength
		}
		if len(v) > 1 && v[0] == '0' {
			h.SetInt(http.ContentLength, n)
		}
	}
	if !coded {
		return n, false, false, nil
	}
	te := h.Get(http.TransferEncoding)
	switch {
	case http10:
		return 0, false, false, errTE10
	case equalFold(te, "chunked"):
	case hasToken(te, "chunked") && !lastIsChunked(te):
		return 0, false, false, errNotFinal
	default:
		return 0, false, false, errCoding
	}
	if hasLength {
		if !s.AllowChunkedLength {
			return 0, false, false, errLengthChunked
		}
		h.Remove(http.ContentLength)
		return -1, true, true, nil
	}
	return -1, true, false, nil
}

func lastIsChunked(list string) bool {
	last := ""
	for list != "" {
		last, list = nextToken(list)
	}
	return equalFold(last, "chunked")
}

// connectionTokens is what a message's connection field says.
type connectionTokens struct{ close, keepAlive, upgrade bool }

func readConnection(h *http.HeaderMap) (t connectionTokens) {
	for list := h.Get(http.Connection); list != ""; {
		var x string
		x, list = nextToken(list)
		switch {
		case equalFold(x, "close"):
			t.close = true
		case equalFold(x, "keep-alive"):
			t.keepAlive = true
		case equalFold(x, "upgrade"):
			t.upgrade = true
		}
	}
	return t
}
