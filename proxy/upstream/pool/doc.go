// Package pool keeps a worker's connections to upstream hosts: the HTTP/1
// pool, which lends connections to requests, the HTTP/2 pool, whose
// connections carry many at once, and connections for tcp_proxy, one for each
// downstream connection.
//
// Who needs a stream asks [HTTP.NewStream] and is called back with an encoder
// or a reason why there is none: at once when a connection is idle, and then
// NewStream returns nil.
//
// The contract that bites: callbacks may come before NewStream returns.
package pool
