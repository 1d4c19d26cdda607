package http1

import "github.com/weirproxy/weir/proxy/http"

// parseResponse fills h from a whole response head, which lies in h's memory.
// The reason phrase is dropped unless it is to be kept.
func parseResponse(h *http.HeaderMap, raw []byte, s *Settings) (code int, http10 bool, err *http.CodecError) {
	// HTTP/1.1 200 OK
	if len(raw) < 13 || string(raw[:7]) != "HTTP/1." || raw[7] != '0' && raw[7] != '1' || raw[8] != ' ' {
		return 0, false, errStartLine
	}
	http10 = raw[7] == '0'
	if raw[9] < '1' || raw[9] > '9' || raw[10]-'0' > 9 || raw[11]-'0' > 9 {
		return 0, false, errStartLine
	}
	code = int(raw[9]-'0')*100 + int(raw[10]-'0')*10 + int(raw[11]-'0')
	p := 12
	if raw[p] == ' ' { // some servers leave out the space before an empty reason
		start := p + 1
		for p = skipText(raw, start); p < len(raw) && raw[p] == '\t'; p = skipText(raw, p+1) {
		}
		if s.KeepReason {
			h.Reason = text(raw[start:p])
		}
	}
	switch {
	case p < len(raw) && raw[p] == '\n':
		p++
	case p+1 < len(raw) && raw[p] == '\r' && raw[p+1] == '\n':
		p += 2
	default:
		return 0, false, errStartLine
	}
	h.Add(http.Status, text(raw[9:12]))
	return code, http10, parseFields(h, raw, p, responseSection, s)
}

// startsWithVersion tells whether the incomplete head p can still become one
// of a response.
func startsWithVersion(p []byte) bool {
	const want = "HTTP/1."
	n := min(len(p), len(want))
	return string(p[:n]) == want[:n]
}
