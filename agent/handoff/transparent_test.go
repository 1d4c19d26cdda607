package handoff

import (
	"errors"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// Sockets that may have any address are for pods that keep their clients'.
func TestTransparentSockets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	a := startAgent(t, path)
	keeps := pod(t, 1)
	keeps.KeepClientAddress = true
	a.server.Add(keeps)
	a.server.Add(pod(t, 2))
	c, e := startClient(t, path)
	for range 2 {
		<-e.seen // in any order
	}
	fd, err := c.TransparentSocket(1, IPv4)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(fd)
	if _, err := c.TransparentSocket(2, IPv4); !errors.Is(err, ErrUnknownPod) {
		t.Errorf("of a pod that does not: %v", err)
	}
	if fd, ok := c.TakeUpstream(2, IPv4, TransparentTCP); ok {
		unix.Close(fd)
		t.Error("one is at hand for a pod that does not")
	}
}
