package tls

import (
	"errors"

	"github.com/weirproxy/weir/proxy/network"
)

// notReady is the socket of a connection whose context lacks a secret: it
// fails at once.
type notReady struct{}

var errNotReady = errors.New("TLS error: Secret is not supplied by SDS")

// Connected implements network.TransportSocket.
func (notReady) Connected(c *network.Connection) { c.Loop().Post(c.Resume) }

// Read implements network.TransportSocket.
func (notReady) Read(*network.Connection, *network.Buffer) network.IoResult {
	return network.IoResult{Err: errNotReady}
}

// Write implements network.TransportSocket.
func (notReady) Write(*network.Connection, *network.Buffer, bool) network.IoResult {
	return network.IoResult{Err: errNotReady}
}

// CanFlushClose implements network.TransportSocket.
func (notReady) CanFlushClose() bool { return false }

// Close implements network.TransportSocket.
func (notReady) Close(*network.Connection) {}

// FailureReason implements network.TransportSocket.
func (notReady) FailureReason() string { return errNotReady.Error() }
