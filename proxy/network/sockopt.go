package network

import (
	"bytes"
	"fmt"

	"golang.org/x/sys/unix"
)

// SocketState is a moment in a socket's life at which an option is set
// (envoy.config.core.v3.SocketOption.SocketState).
type SocketState uint8

const (
	Prebind SocketState = iota
	Bound
	Listening
)

// SocketOption is one setsockopt call.
type SocketOption struct {
	Level, Name int
	Int         int
	Bytes       []byte // used instead of Int when not nil
	State       SocketState
	Description string
}

// Apply sets the option when the socket is in its state.
func (o SocketOption) Apply(fd int, at SocketState) error {
	if o.State != at {
		return nil
	}
	var err error
	if o.Bytes != nil {
		err = unix.SetsockoptString(fd, o.Level, o.Name, string(o.Bytes))
	} else {
		err = unix.SetsockoptInt(fd, o.Level, o.Name, o.Int)
	}
	if err != nil {
		return fmt.Errorf("set socket option %d of level %d (%s): %w", o.Name, o.Level, o.Description, err)
	}
	return nil
}

func (o SocketOption) equal(p SocketOption) bool {
	return o.Level == p.Level && o.Name == p.Name && o.Int == p.Int && o.State == p.State && bytes.Equal(o.Bytes, p.Bytes)
}
