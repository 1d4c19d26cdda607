// Package buffer is the HTTP filter envoy.filters.http.buffer: it holds a
// request until it has been received whole, and answers 413 to one that is
// too large. A route can have another limit or none. The connection manager
// makes filters by [Maker].
package buffer
