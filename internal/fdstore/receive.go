package fdstore

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Conn is a connection that an earlier proxy had. Who takes it owns its
// descriptors.
type Conn struct {
	FD   int
	Key  Key
	Read []byte // what was read and has to be answered
	// Partner is the connection that all goes on to, and from, as it is; 0:
	// none, nothing has gone anywhere yet. Chain is where that is done.
	Partner int
	Chain   Chain
}

// Close closes the descriptors.
func (c *Conn) Close() {
	unix.Close(c.FD)
	if c.Partner > 0 {
		unix.Close(c.Partner)
	}
}

// variable names the sockets' descriptors in a proxy's environment: the one
// that connections are sent into, the one that they come out of.
const variable = "WEIR_FDSTORE"

// sendPatience is how long a proxy that is gone waits for the next one.
const sendPatience = 10 * time.Second

// Pair makes the sockets that connections go through from proxy to proxy.
func Pair() (files [2]*os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return files, fmt.Errorf("socketpair: %w", err)
	}
	for i, fd := range fds {
		files[i] = os.NewFile(uintptr(fd), "fdstore")
	}
	wait := unix.NsecToTimeval(sendPatience.Nanoseconds())
	if err := unix.SetsockoptTimeval(fds[0], unix.SOL_SOCKET, unix.SO_SNDTIMEO, &wait); err != nil {
		return files, fmt.Errorf("SO_SNDTIMEO: %w", err)
	}
	return files, nil
}

// Environment tells a proxy of the sockets, whose first descriptor there is
// first.
func Environment(first int) string { return fmt.Sprintf("%s=%d,%d", variable, first, first+1) }

// Inherited are the sockets that the environment names, which it then no
// longer does. ok is false without them.
func Inherited() (out, in int, ok bool) {
	a, b, _ := strings.Cut(os.Getenv(variable), ",")
	os.Unsetenv(variable)
	out, err1 := strconv.Atoi(a)
	in, err2 := strconv.Atoi(b)
	if err1 != nil || err2 != nil {
		return 0, 0, false
	}
	unix.CloseOnExec(out)
	unix.CloseOnExec(in)
	return out, in, true
}

// Receive takes what earlier proxies have sent, and waits for more, until the
// socket breaks.
func Receive(in int, take func(Conn)) error {
	room := make([]byte, int(unsafe.Sizeof(Entry{}))+roomEach)
	control := make([]byte, unix.CmsgSpace(8))
	for {
		n, k, _, _, err := unix.Recvmsg(in, room, control, unix.MSG_CMSG_CLOEXEC)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("connections of the proxy before: %w", err)
		case n == 0:
			return fmt.Errorf("connections of the proxy before: %w", io.EOF)
		}
		c, err := decode(room[:n], control[:k])
		if err != nil {
			return fmt.Errorf("connections of the proxy before: %w", err)
		}
		take(c)
	}
}

func decode(p, control []byte) (c Conn, err error) {
	var e Entry
	size := int(unsafe.Sizeof(e))
	if len(p) < size {
		return c, fmt.Errorf("a message of %d bytes", len(p))
	}
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&e)), size), p)
	if e.nameLen > maxName {
		return c, fmt.Errorf("a name of %d bytes", e.nameLen)
	}
	c = Conn{Key: e.key(), Chain: e.chain, Read: append([]byte(nil), p[size:]...)}
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return c, err
	}
	for _, m := range messages {
		switch fds, err := unix.ParseUnixRights(&m); {
		case err != nil:
		case len(fds) == 2:
			c.FD, c.Partner = fds[0], fds[1]
			return c, nil
		case len(fds) == 1:
			c.FD = fds[0]
			return c, nil
		}
	}
	return c, errors.New("a message without descriptors")
}
