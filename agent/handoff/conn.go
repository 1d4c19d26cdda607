package handoff

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// writeTimeout bounds how long a peer that does not read is waited for.
const writeTimeout = 2 * time.Second

// network is a unix socket that keeps packets apart: SOCK_SEQPACKET.
const network = "unixpacket"

// conn sends and receives messages. One goroutine receives; any may send.
type conn struct {
	unix *net.UnixConn
	dns  bool // the peer knows of DNS
	buf  []byte
	oob  []byte

	sending sync.Mutex

	reports bool // the peer is a proxy that tells of its connections

	// Of a proxy, guarded by Server.mu: when it was started, whether it knows how
	// to yield, does, was told either, and drains.
	started                          int64
	canYield, yields, told, draining bool
}

func newConn(c *net.UnixConn) *conn {
	// A byte more than is allowed, to tell a message that is too long.
	return &conn{unix: c, buf: make([]byte, maxMessage+1), oob: make([]byte, unix.CmsgSpace((maxFDs+1)*4))}
}

// send sends m with descriptors, which stay the caller's.
func (c *conn) send(m *message, fds ...int) error {
	packet, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if len(packet) > maxMessage || len(fds) > maxFDs {
		return fmt.Errorf("message %q of %d bytes and %d descriptors is too big", m.Type, len(packet), len(fds))
	}
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	c.sending.Lock()
	defer c.sending.Unlock()
	if err := c.unix.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	if _, _, err := c.unix.WriteMsgUnix(packet, oob, nil); err != nil {
		return fmt.Errorf("send %q: %w", m.Type, err)
	}
	return nil
}

// receive waits for a message; its descriptors are the caller's. io.EOF when
// the peer is gone. Descriptors that come with a bad message are closed.
func (c *conn) receive() (*message, []int, error) {
	n, oobn, flags, _, err := c.unix.ReadMsgUnix(c.buf, c.oob)
	if err != nil {
		return nil, nil, err
	}
	fds, err := parseRights(c.oob[:oobn])
	if err == nil && flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
		err = fmt.Errorf("a message of more than %d bytes or %d descriptors", maxMessage, maxFDs)
	}
	if err == nil && n == 0 {
		err = io.EOF
	}
	var m *message
	if err == nil {
		m, err = parse(c.buf[:n], len(fds))
	}
	if err != nil {
		closeAll(fds)
		return nil, nil, err
	}
	return m, fds, nil
}

func (c *conn) close() { c.unix.Close() }

// broken ends a connection on which err kept something from being sent. One
// whose peer is gone ends by itself: what that has sent before is read first.
func (c *conn) broken(err error) {
	if !isGone(err) {
		c.close()
	}
}

// isGone tells that an error is the peer's end.
func isGone(err error) bool { return errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET) }

// peer is who is at the other end, by SO_PEERCRED: the kernel's word.
func (c *conn) peer() (*unix.Ucred, error) {
	raw, err := c.unix.SyscallConn()
	if err != nil {
		return nil, err
	}
	var cred *unix.Ucred
	if e := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); e != nil {
		return nil, e
	}
	return cred, os.NewSyscallError("getsockopt SO_PEERCRED", err)
}

func parseRights(oob []byte) (fds []int, err error) {
	if len(oob) == 0 {
		return nil, nil
	}
	controls, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fmt.Errorf("control message: %w", err)
	}
	for i := range controls {
		got, err := unix.ParseUnixRights(&controls[i])
		if errors.Is(err, unix.EINVAL) {
			continue // not SCM_RIGHTS
		}
		if err != nil {
			return fds, err
		}
		fds = append(fds, got...)
	}
	return fds, nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}
