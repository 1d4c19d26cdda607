// Package httpinspector is the listener filter envoy.filters.listener.http_inspector:
// it tells plain HTTP/1.0, HTTP/1.1 and HTTP/2 from other protocols by the
// first line, without consuming it, and notes them as the connection's
// application protocol ("http/1.0", "http/1.1", "h2c"). Listeners make it by
// [New].
package httpinspector
