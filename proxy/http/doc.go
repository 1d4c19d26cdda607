// Package http is what the HTTP packages share: header maps, the interfaces
// between codecs and those who use them, and the interfaces of HTTP filters.
//
// A downstream connection's codec (http1, http2) turns bytes into calls of a
// [RequestDecoder] that the HTTP connection manager gave it, and the
// manager's calls of a [ResponseEncoder] into bytes. An upstream
// connection's codec does the same in mirror image for the router. Between
// the two stand the filters of the stream, which see headers, data and
// trailers both ways.
//
// The contract that bites: the strings of a [HeaderMap] lie in its own memory
// and are valid until it is reset, which happens when its stream is
// destroyed. Keep a copy (strings.Clone) of what must live longer.
package http
