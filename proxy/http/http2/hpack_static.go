package http2

import "github.com/weirproxy/weir/proxy/http"

// staticEntries is the length of the static table (RFC 7541 appendix A).
const staticEntries = 61

// staticIndex finds a field in the static table; whole tells that the value
// agrees as well. 0 is none.
func staticIndex(id http.HeaderID, name, value string) (index byte, whole bool) {
	switch id {
	case http.Unknown:
		return staticNames[name], false
	case http.Method:
		switch value {
		case "GET":
			return 2, true
		case "POST":
			return 3, true
		}
	case http.Path:
		switch value {
		case "/":
			return 4, true
		case "/index.html":
			return 5, true
		}
	case http.Scheme:
		switch value {
		case "http":
			return 6, true
		case "https":
			return 7, true
		}
	case http.Status:
		switch value {
		case "200":
			return 8, true
		case "204":
			return 9, true
		case "206":
			return 10, true
		case "304":
			return 11, true
		case "400":
			return 12, true
		case "404":
			return 13, true
		case "500":
			return 14, true
		}
	case http.AcceptEncoding:
		if value == "gzip, deflate" {
			return 16, true
		}
	}
	return staticIDs[id], false
}

// staticNames are the names of the static table that have no HeaderID,
// staticIDs the places of those that have one.
var staticNames, staticIDs = func() (map[string]byte, [http.NumHeaderIDs]byte) {
	var ids [http.NumHeaderIDs]byte
	names := map[string]byte{}
	for i, name := range [...]string{1: ":authority", 2: ":method", 4: ":path", 6: ":scheme", 8: ":status",
		15: "accept-charset", "accept-encoding", "accept-language", "accept-ranges", "accept", "access-control-allow-origin",
		"age", "allow", "authorization", "cache-control", "content-disposition", "content-encoding", "content-language",
		"content-length", "content-location", "content-range", "content-type", "cookie", "date", "etag", "expect", "expires",
		"from", "host", "if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "last-modified",
		"link", "location", "max-forwards", "proxy-authenticate", "proxy-authorization", "range", "referer", "refresh",
		"retry-after", "server", "set-cookie", "strict-transport-security", "transfer-encoding", "user-agent", "vary", "via",
		"www-authenticate"} {
		if name == "" {
			continue
		}
		if id := http.LookupID(name); id != http.Unknown {
			ids[id] = byte(i)
		} else {
			names[name] = byte(i)
		}
	}
	return names, ids
}()
