// Package istioalpn is Istio's HTTP filter istio.alpn: it has requests offer
// other application protocols in the upstream's TLS handshake than the
// cluster does, by the HTTP version that they are sent on with. Istio's
// proxies tell by them that both ends are theirs. The filter only leaves the
// list in the filter state, where upstream connections look for it. The
// connection manager makes filters by [Maker].
package istioalpn
