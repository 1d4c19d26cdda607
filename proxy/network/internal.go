package network

import (
	"fmt"
	"strings"
)

const internalScheme = "envoy://"

// InternalAddress is the address of an internal listener, or of who connects to
// one: connections between them stay in the process. It is a pipe's to all who
// only print it.
func InternalAddress(listener, endpoint string) Address {
	return Address{Path: internalScheme + listener + "/" + endpoint}
}

// Internal is the internal listener that a is the address of.
func (a Address) Internal() (listener string, ok bool) {
	rest, ok := strings.CutPrefix(a.Path, internalScheme)
	listener, _, _ = strings.Cut(rest, "/")
	return listener, ok
}

// dialInternal connects to an internal listener of the loop's worker.
func dialInternal(l *Loop, listener string, addr Address, cb ConnectionCallbacks, o Options) (*Connection, error) {
	if l.ConnectInternal == nil {
		return nil, fmt.Errorf("connect to %v: there are no internal listeners here", addr)
	}
	fd, err := l.ConnectInternal(listener, addr, o.Brings)
	if err != nil {
		fd = -1
	}
	c := newConnection(l, fd, o)
	c.remote = addr
	c.AddCallbacks(cb)
	if err != nil {
		// Reported like the failures of other connections, by the callbacks.
		l.Post(func() { c.connectFailed(err) })
		return c, nil
	}
	if err := l.Add(fd, c); err != nil { // the edge of a connection that stands
		closeFD(fd)
		return nil, err
	}
	return c, nil
}
