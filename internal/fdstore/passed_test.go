package fdstore

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestPassedOn: the kernel knows what is in the proxy, whatever is on its way.
func TestPassedOn(t *testing.T) {
	s, err := New(1)
	if err != nil {
		t.Fatal(err)
	}
	client, down := connected(t)
	up, server := connected(t)
	w := s.Worker()
	w.Open(down, Key{Listener: "l"}, false)
	w.Opened(down).SetChain(Chain{Of: 1})
	w.Pair(down, up)
	buf := make([]byte, 1<<20)
	read := func(fd, n int) {
		t.Helper()
		full(t, "read", n, func(p []byte) (int, error) { return unix.Read(fd, p) }, buf)
	}
	write := func(fd, n int) {
		t.Helper()
		full(t, "write", n, func(p []byte) (int, error) { return unix.Write(fd, p) }, buf)
	}
	for _, step := range []struct {
		what string
		do   func()
		want bool
	}{
		{"nothing was said", func() {}, true},
		{"the client has spoken", func() { write(client, 10) }, true},
		{"it was read", func() { read(down, 10) }, false},
		{"half of it was passed on", func() { write(up, 5) }, false},
		{"it was passed on", func() { write(up, 5) }, true},
		{"the server has it", func() { read(server, 10) }, true},
		{"the server answers", func() { write(server, 20) }, true},
		{"half of that is read", func() { read(up, 10) }, false},
		{"and passed on", func() { write(down, 10) }, true},
		{"the client speaks meanwhile", func() { write(client, 1000) }, true},
		{"all of the answer is read", func() { read(up, 10) }, false},
		{"all of it is passed on", func() { write(down, 10) }, true},
		{"much is said", func() { write(client, 100_000); read(down, 101_000); write(up, 101_000) }, true},
		{"the server answers and ends", func() { write(server, 10); unix.Shutdown(server, unix.SHUT_WR) }, true},
		{"that is read", func() { read(up, 10) }, false},
		{"and passed on", func() { write(down, 10) }, true},
		{"one byte is missing", func() { write(client, 10); read(down, 10); write(up, 9) }, false},
	} {
		step.do()
		if got := goesOn(s.note, uintptr(down)) && goesOn(s.note, uintptr(up)); got != step.want {
			t.Errorf("%s: %v", step.what, got)
		}
	}
}

func full(t *testing.T, what string, n int, do func([]byte) (int, error), buf []byte) {
	t.Helper()
	for n > 0 {
		k, err := do(buf[:n])
		if err != nil || k == 0 {
			t.Fatalf("%s: %d, %v", what, k, err)
		}
		n -= k
	}
}

// connected is a TCP connection's descriptors: of who connected, and of who
// accepted.
func connected(t *testing.T) (from, to int) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.DialTimeout("tcp", l.Addr().String(), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	a, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return blocking(t, c), blocking(t, a)
}

func blocking(t *testing.T, c net.Conn) int {
	f, err := c.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	t.Cleanup(func() { f.Close() })
	return int(f.Fd())
}
