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

// staticTable is the table; place 0 is none.
var staticTable = func() (t [staticEntries + 1]hpackField) {
	names := [...]string{1: ":authority", ":method", ":method", ":path", ":path", ":scheme", ":scheme",
		":status", ":status", ":status", ":status", ":status", ":status", ":status",
		"accept-charset", "accept-encoding", "accept-language", "accept-ranges", "accept", "access-control-allow-origin",
		"age", "allow", "authorization", "cache-control", "content-disposition", "content-encoding", "content-language",
		"content-length", "content-location", "content-range", "content-type", "cookie", "date", "etag", "expect", "expires",
		"from", "host", "if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "last-modified",
		"link", "location", "max-forwards", "proxy-authenticate", "proxy-authorization", "range", "referer", "refresh",
		"retry-after", "server", "set-cookie", "strict-transport-security", "transfer-encoding", "user-agent", "vary", "via",
		"www-authenticate"}
	values := [...]string{2: "GET", "POST", "/", "/index.html", "http", "https", "200", "204", "206", "304", "400", "404", "500",
		16: "gzip, deflate"}
	for i := 1; i <= staticEntries; i++ {
		value := ""
		if i < len(values) {
			value = values[i]
		}
		t[i] = makeField(names[i], value)
	}
	return t
}()

// staticNames are the places of names without a HeaderID, staticIDs those of
// names that have one.
var staticNames, staticIDs = func() (map[string]byte, [http.NumHeaderIDs]byte) {
	var ids [http.NumHeaderIDs]byte
	names := map[string]byte{}
	for i := staticEntries; i > 0; i-- { // the first place of a name stays
		if f := &staticTable[i]; f.id != http.Unknown {
			ids[f.id] = byte(i)
		} else {
			names[f.name] = byte(i)
		}
	}
	return names, ids
}()
