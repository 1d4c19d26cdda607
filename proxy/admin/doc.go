// Package admin is Envoy's administration interface, and a page for people.
//
// What comes in: HTTP requests on the bootstrap's admin address, a TCP address
// or a Unix socket ([Config]), and [Sources], the functions through which the
// pages see the running instance. What goes out: pages whose names, parameters,
// methods, status codes and formats are those of Envoy 1.40; of weir's own are
// the home page, /routes and /debug/pprof/.
//
// Who calls it: proxy/server fills Sources, listens and serves. Requests are
// served by net/http, on goroutines of their own: never on a worker.
//
// The contract that bites: a Source is called from any goroutine, by several
// requests at once, and must itself get onto the thread that owns what it
// reports (by posting and waiting, until ctx ends). Anyone who reaches the
// address can stop the proxy, as with Envoy: bind it to a loopback address or
// a socket. Configurations are shown without what their protos call sensitive
// (private keys, passwords): [Redact] is applied here, to every dump.
package admin
