// Package tls is the TLS transport socket, over an unmodified crypto/tls, and
// its contexts.
//
// What comes in: a DownstreamTlsContext or UpstreamTlsContext, on main (the
// config files); secrets that arrive later, on main too; connections, on the
// workers. What goes out: a [network.TransportSocket] for each connection.
// Listeners and clusters make contexts, their connections' loops drive the
// sockets.
//
// A handshake runs on a coroutine (handshake.go, coroutine.go), since crypto/tls
// can't stop in the middle of one: it yields to the loop when it needs bytes,
// and when it needs a signature that takes long, which is then made on
// another goroutine. After that the loop calls crypto/tls itself, over a
// net.Conn that answers with a temporary error when there are no bytes
// (wire.go); crypto/tls goes on after such an error where it stopped.
//
// The contract that bites: what a context makes of its secrets is immutable
// (see server.go, client.go). A new secret is a new state in the same context;
// connections keep the one that they began with.
package tls
