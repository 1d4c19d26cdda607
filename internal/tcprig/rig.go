// Package tcprig runs TCP servers for tests: peers that say, byte by byte, what
// a test wants said.
//
// In: what to do with a connection. Out: where it is served. Tests of any
// package call it; those that want an HTTP server use net/http/httptest.
package tcprig

import (
	"net"
	"testing"
)

// Start runs a server at a free port of 127.0.0.1 until the test ends.
func Start(t testing.TB, serve func(net.Conn)) *net.TCPAddr {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	Serve(t, l, serve)
	return l.Addr().(*net.TCPAddr)
}

// Serve has each connection of l served on a goroutine of its own and closed
// after that, until the test ends, which closes l.
func Serve(t testing.TB, l net.Listener, serve func(net.Conn)) {
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c)
			}()
		}
	}()
}
