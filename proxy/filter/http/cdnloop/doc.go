// Package cdnloop is the HTTP filter envoy.filters.http.cdn_loop: it appends
// this CDN's name to the header CDN-Loop (RFC 8586), and refuses requests that
// have passed here too often. The connection manager makes filters by [Maker].
package cdnloop
