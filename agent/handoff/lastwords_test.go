package handoff

import (
	"context"
	"net"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestLastWords: a pod that an agent has told of is the proxy's, even if the
// agent is killed before the proxy has read so.
func TestLastWords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix(network, &net.UnixAddr{Name: path, Net: network})
	if err != nil {
		t.Fatal(err)
	}
	beat := startAgent(t, filepath.Join(t.TempDir(), "other")).beat // any page will do
	first, second := pod(t, 1), pod(t, 2)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		u, err := l.AcceptUnix()
		l.Close()
		if err != nil {
			return
		}
		defer u.Close()
		c := newConn(u)
		c.receive() // hello
		c.send(&message{Type: typeHello, Version: Version}, int(beat.Fd()))
		c.receive() // ready
		c.send(podAdded(first), first.fds()...)
		c.send(podAdded(second), second.fds()...)
		awaitUnread(u) // want_upstream, for the first
	}()
	c, err := Dial(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	e := &events{seen: make(chan string)} // the client waits here with the first pod
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- c.Run(ctx, e) }()
	<-gone
	e.want(t, "+1", "+2")
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	c.Close()
}

// awaitUnread waits until there is something to be read, and leaves it there.
func awaitUnread(u *net.UnixConn) {
	raw, err := u.SyscallConn()
	if err != nil {
		return
	}
	raw.Read(func(fd uintptr) bool {
		_, _, err := unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK)
		return err != unix.EAGAIN
	})
}
