package tls

import (
	"net"
	"time"
)

// wire is the net.Conn under crypto/tls: the descriptor for reading, the
// buffer of sealed records for writing.
type wire socket

// noBytes says that nothing can be read for now: to crypto/tls a temporary
// error, after which it can be called again.
type noBytes struct{}

func (noBytes) Error() string   { return "no bytes yet" }
func (noBytes) Timeout() bool   { return true }
func (noBytes) Temporary() bool { return true }

var errNoBytes net.Error = noBytes{}

// Read implements net.Conn. During the handshake it waits, by leaving the
// coroutine.
func (w *wire) Read(p []byte) (int, error) {
	for {
		if !w.drained {
			n, more, err := w.nc.Receive(p)
			w.drained = !more
			if n > 0 || err != nil {
				return n, err
			}
		}
		if w.hs == nil {
			return 0, errNoBytes
		}
		if !w.hs.leave(nil) {
			return 0, net.ErrClosed
		}
	}
}

// Write implements net.Conn.
func (w *wire) Write(p []byte) (int, error) { return w.sealed.Write(p) }

// Close implements net.Conn; the descriptor is its connection's to close.
func (w *wire) Close() error { return nil }

// LocalAddr implements net.Conn.
func (w *wire) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(w.nc.LocalAddress().AddrPort) }

// RemoteAddr implements net.Conn.
func (w *wire) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(w.nc.RemoteAddress().AddrPort) }

// SetDeadline implements net.Conn: nothing here blocks.
func (w *wire) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (w *wire) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn.
func (w *wire) SetWriteDeadline(time.Time) error { return nil }
