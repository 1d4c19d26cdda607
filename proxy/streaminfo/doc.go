// Package streaminfo is what is known of one stream (an HTTP request, or a
// TCP connection that is proxied): filled by the connection manager, the
// router and the filters as the stream goes, read by access logs, header
// formatters and tracing. It imports only network, so that everything above
// can use it.
package streaminfo
