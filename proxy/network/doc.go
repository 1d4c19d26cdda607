// Package network is sockets, buffers and connections on a worker's loop.
//
// A [Loop] is a dispatcher with the pools that its connections share. A
// [Connection] is one TCP or UNIX stream: bytes that arrive go into its input
// [Buffer] and through its chain of read filters (the last of which is an
// HTTP connection manager, a TCP proxy, …); bytes written pass its write
// filters, gather in its output buffer and go out when the current handler
// returns. A transport socket (TLS) sits between the buffers and the
// descriptor; without one the bytes are as on the wire.
//
// Listeners make server connections, upstream pools make client connections.
// Everything here is used from its loop's goroutine only.
//
// The contract that bites: closing a connection runs its callbacks before
// Close returns, and the connection lives on until the end of the turn;
// whoever holds one must drop it in OnEvent.
package network
