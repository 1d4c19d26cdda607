package http2

import "github.com/weirproxy/weir/proxy/http"

// Filters and routes see one kind of upgrade, HTTP/1.1's. The codec makes it
// of extended CONNECT (RFC 8441) and back.

// showAsUpgrade makes a request that was received by extended CONNECT an
// upgrade.
func showAsUpgrade(h *http.HeaderMap, protocol string) {
	h.Set(http.Method, "GET")
	h.Remove(http.Protocol)
	h.Set(http.Upgrade, protocol)
	h.Set(http.Connection, "upgrade")
}

// acceptUpgrade makes a 101 response the answer to extended CONNECT.
func acceptUpgrade(h *http.HeaderMap) {
	h.Set(http.Status, "200")
	h.Remove(http.Upgrade)
	h.Remove(http.Connection)
	h.Remove(http.ContentLength)
}

// askByConnect makes an upgrade an extended CONNECT and returns the protocol
// asked for.
func askByConnect(h *http.HeaderMap) string {
	protocol := h.Get(http.Upgrade)
	h.Set(http.Method, "CONNECT")
	h.Set(http.Protocol, protocol)
	h.Remove(http.Upgrade)
	h.Remove(http.Connection)
	if h.Get(http.ContentLength) == "0" {
		h.Remove(http.ContentLength)
	}
	return protocol
}

// restoreUpgrade undoes askByConnect once the request is encoded: its map is
// still read, and may be encoded for another try.
func restoreUpgrade(h *http.HeaderMap, method, protocol string) {
	showAsUpgrade(h, protocol)
	h.Set(http.Method, method)
}

// showAccepted makes the answer to extended CONNECT one to an upgrade.
func showAccepted(h *http.HeaderMap, protocol string) {
	if h.Get(http.Status) != "200" {
		return
	}
	h.Set(http.Status, "101")
	h.Set(http.Upgrade, protocol)
	h.Set(http.Connection, "upgrade")
	h.Remove(http.ContentLength)
}
