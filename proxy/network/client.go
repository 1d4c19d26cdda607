package network

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// Dial starts a client connection to addr. The callbacks, which are added
// before anything can happen, are told Connected or RemoteClose in a later
// turn. bind, when set, is the local address; sockopts are applied before
// connecting.
func Dial(l *Loop, addr, bind Address, sockopts []SocketOption, cb ConnectionCallbacks, o Options) (*Connection, error) {
	if listener, ok := addr.Internal(); ok {
		return dialInternal(l, listener, addr, cb, o)
	}
	domain, sa, err := addr.sockaddr()
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	fd, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("connect to %v: socket: %w", addr, err)
	}
	for _, so := range sockopts {
		if err := so.Apply(fd, Prebind); err != nil {
			unix.Close(fd)
			return nil, fmt.Errorf("connect to %v: %w", addr, err)
		}
	}
	if bind.IsSet() {
		if _, from, err := bind.sockaddr(); err != nil {
			unix.Close(fd)
			return nil, fmt.Errorf("connect to %v: %w", addr, err)
		} else if err := unix.Bind(fd, from); err != nil {
			unix.Close(fd)
			return nil, fmt.Errorf("connect to %v: bind to %v: %w", addr, bind, err)
		}
	}
	return dialSocket(l, fd, addr, sa, cb, o)
}

// DialSocket is Dial over a socket made elsewhere (by the agent, in a pod's
// network namespace). It takes the descriptor over.
func DialSocket(l *Loop, fd int, addr Address, cb ConnectionCallbacks, o Options) (*Connection, error) {
	_, sa, err := addr.sockaddr()
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("connect to %v: %w", addr, err)
	}
	return dialSocket(l, fd, addr, sa, cb, o)
}

// Resume is Dial for a socket that is connected already.
func Resume(l *Loop, fd int, cb ConnectionCallbacks, o Options) (*Connection, error) {
	_, addr, err := SocketNames(fd)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return DialSocket(l, fd, addr, cb, o)
}

// DialLater is DialSocket over a socket that get has to wait for. get runs on
// a goroutine of its own.
func DialLater(l *Loop, get func() (fd int, err error), addr Address, cb ConnectionCallbacks, o Options) *Connection {
	c := newConnection(l, -1, o)
	c.remote = addr
	c.AddCallbacks(cb)
	go func() {
		fd, err := get()
		l.Post(func() {
			if c.state == stateClosed {
				if err == nil {
					unix.Close(fd)
				}
				return
			}
			if err != nil {
				c.setFailure(err.Error())
				c.closeNow(RemoteClose)
				return
			}
			c.fd = int32(fd)
			if err := c.connect(); err != nil {
				c.connectFailed(err)
			}
		})
	}()
	return c
}

// connect starts connecting the connection's socket to its remote address.
func (c *Connection) connect() error {
	_, sa, err := c.remote.sockaddr()
	if err != nil {
		return err
	}
	if err := unix.SetNonblock(int(c.fd), true); err != nil {
		return err
	}
	c.SetNoDelay()
	if err := unix.Connect(int(c.fd), sa); err != nil && err != unix.EINPROGRESS {
		return err
	}
	return c.loop.Add(int(c.fd), c)
}

func dialSocket(l *Loop, fd int, addr Address, sa unix.Sockaddr, cb ConnectionCallbacks, o Options) (*Connection, error) {
	c := newConnection(l, fd, o)
	c.remote = addr
	c.AddCallbacks(cb)
	c.SetNoDelay()
	err := unix.Connect(fd, sa)
	if err == nil || err == unix.EINPROGRESS || err == unix.EISCONN { // the last: see Resume
		// The edge of a connection that stands at once is seen as well.
		if err := l.Add(fd, c); err != nil {
			unix.Close(fd)
			return nil, err
		}
		return c, nil
	}
	// Failures at once are reported like later ones, by the callbacks.
	l.Post(func() { c.connectFailed(err) })
	return c, nil
}

func (c *Connection) finishConnect() bool {
	code, err := unix.GetsockoptInt(int(c.fd), unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && code != 0 {
		err = unix.Errno(code)
	}
	if err != nil {
		c.connectFailed(err)
		return false
	}
	c.state = stateOpen
	c.dialed = uint32(max(1, (c.loop.Now() - c.opened).Microseconds()))
	if sa, err := unix.Getsockname(int(c.fd)); err == nil {
		c.local = c.loop.share(addressOf(sa))
	}
	if c.transport != nil {
		c.transport.Connected(c)
	} else {
		c.RaiseConnected()
	}
	if c.state == stateClosed {
		return false
	}
	if c.out.size > 0 || c.writeEnd {
		c.flushLater()
	}
	return true
}

// RaiseConnected tells the callbacks that the connection can carry bytes. A
// transport socket calls it when its handshake is done.
func (c *Connection) RaiseConnected() {
	for _, cb := range c.callbacks {
		cb.OnEvent(Connected)
	}
	if c.out.size > 0 || c.writeEnd {
		c.flushLater()
	}
}

func (c *Connection) connectFailed(err error) {
	if c.state == stateClosed {
		return
	}
	// Envoy's words, which access logs and error bodies show.
	what := err.Error()
	if errno, ok := err.(unix.Errno); ok {
		what = errnoText(errno)
	}
	c.setFailure("delayed connect error: " + what)
	c.closeNow(RemoteClose)
}

// errnoText is strerror(3)'s text, which begins with a capital.
func errnoText(e unix.Errno) string {
	s := e.Error()
	return strings.ToUpper(s[:1]) + s[1:]
}
