package http2

import (
	"golang.org/x/net/http2"

	"github.com/weirproxy/weir/proxy/network"
)

// Dispatch implements http.ServerConnection and http.ClientConnection. A frame
// is handled when it has come whole, but for DATA, which passes as it comes.
func (c *conn) Dispatch(b *network.Buffer) error {
	c.inside = true
	err := c.dispatch(b)
	c.inside = false
	return err
}

func (c *conn) dispatch(b *network.Buffer) error {
	for b.Len() > 0 {
		var more bool
		var err *connError
		switch c.phase {
		case phasePreface:
			more, err = c.readPreface(b)
		case phaseDead:
			b.Reset()
			return nil
		default:
			if c.dataLeft+c.padLeft > 0 {
				more, err = true, c.readData(b)
			} else {
				more, err = c.readFrame(b)
			}
		}
		if err == nil {
			err = c.violation
		}
		if err != nil {
			e := c.fail(err)
			b.Reset()
			return e
		}
		if !more {
			return nil
		}
	}
	return nil
}

// readPreface awaits the client's preface and answers it with SETTINGS.
func (c *conn) readPreface(b *network.Buffer) (more bool, err *connError) {
	var got [len(preface)]byte
	n := b.CopyTo(got[:])
	if string(got[:n]) != preface[:n] {
		return false, errPreface
	}
	if n < len(preface) {
		return false, nil
	}
	b.Drain(n)
	c.phase = phaseSettings
	c.writeSettings()
	return true, nil
}

func (c *conn) readFrame(b *network.Buffer) (more bool, err *connError) {
	front := b.Front()
	if len(front) < frameHeaderLen {
		if b.Len() < frameHeaderLen {
			return false, nil
		}
		front = b.Linearize(frameHeaderLen)
	}
	f := parseFrame(front)
	if f.length > minMaxFrame { // ours is not negotiable
		return false, errFrameTooLarge
	}
	if c.phase == phaseSettings && (f.kind != http2.FrameSettings || f.flags.Has(http2.FlagSettingsAck)) {
		return false, errFirstSettings
	}
	if c.block.open && (f.kind != http2.FrameContinuation || f.stream != c.block.id) {
		return false, errContinuation
	}
	if f.kind == http2.FrameData {
		return c.beginData(b, f)
	}
	n := frameHeaderLen + f.length
	if b.Len() < n {
		return false, nil
	}
	p := b.Linearize(n)[frameHeaderLen:]
	err = c.control(f, p)
	if b.Len() >= n { // else a callback has closed the connection
		b.Drain(n)
	}
	return err == nil, err
}

// control handles a frame other than DATA whose payload is p.
func (c *conn) control(f frame, p []byte) *connError {
	switch f.kind {
	case http2.FrameHeaders:
		return c.onHeaders(f, p)
	case http2.FrameContinuation:
		return c.onContinuation(f, p)
	case http2.FramePriority:
		return c.onPriority(f, p)
	case http2.FrameRSTStream:
		return c.onReset(f, p)
	case http2.FrameSettings:
		return c.onSettings(f, p)
	case http2.FramePushPromise:
		return errPush // a client may not, and servers were told not to
	case http2.FramePing:
		return c.onPing(f, p)
	case http2.FrameGoAway:
		return c.onGoAway(f, p)
	case http2.FrameWindowUpdate:
		return c.onWindowUpdate(f, p)
	}
	// Unknown frames are ignored (RFC 9113 section 4.1), but not for ever.
	c.flood.owe(c)
	return nil
}
