package http2

import (
	"encoding/binary"

	"golang.org/x/net/http2"

	"github.com/weirproxy/weir/proxy/http"
)

func (c *conn) onPriority(f frame, p []byte) *connError {
	if f.stream == 0 {
		return errStreamID
	}
	c.flood.priorities++
	c.flood.ratios(c)
	if len(p) != 5 {
		c.refuse(f.stream, http2.ErrCodeFrameSize)
		return nil
	}
	if dependsOnItself(f.stream, p) {
		c.refuse(f.stream, http2.ErrCodeProtocol)
	}
	return nil
}

// dependsOnItself tells whether a priority makes a stream depend on itself
// (RFC 7540 section 5.3.1). Priorities are of no other account.
func dependsOnItself(id uint32, p []byte) bool {
	return binary.BigEndian.Uint32(p)&maxStreamID == id
}

// refuse ends a stream, open or not, because the peer broke a rule on it.
func (c *conn) refuse(id uint32, code http2.ErrCode) {
	if s := c.streams[id]; s != nil {
		c.flood.serverReset(c)
		s.details = detailProtocol
		s.abort(code, http.ProtocolError)
		return
	}
	c.flood.lateReset(c)
	c.resetStream(id, code)
}

// idle tells whether the stream has not been begun by either side.
func (c *conn) idle(id uint32) bool { return id > c.lastPeer && id > c.lastOurs() }

func (c *conn) lastOurs() uint32 {
	if cl, ok := c.role.(*client); ok {
		return cl.lastID
	}
	return 0
}

func (c *conn) onReset(f frame, p []byte) *connError {
	switch {
	case f.stream == 0:
		return errStreamID
	case len(p) != 4:
		return errFrameSize
	case c.idle(f.stream):
		return errIdleStream
	}
	count(c.set.Counters.RxReset)
	_, server := c.role.(*server)
	if server {
		c.flood.resetFrame(c)
	}
	s := c.streams[f.stream]
	if s == nil {
		c.flood.owe(c)
		c.resets.forget(f.stream) // nothing can be under way behind it
		return nil
	}
	code := http2.ErrCode(binary.BigEndian.Uint32(p))
	if server { // what upstreams do with the requests they get is their affair
		c.flood.streamEnded(c, s, true)
	}
	s.details = detailRemoteReset
	reason := resetReason(code)
	if reason == http.RemoteRefusedStreamReset {
		s.details = detailRemoteRefuse
	}
	s.tell(reason)
	return nil
}

func (c *conn) onSettings(f frame, p []byte) *connError {
	if f.stream != 0 {
		return errStreamID
	}
	if f.flags.Has(http2.FlagSettingsAck) {
		if len(p) != 0 {
			return errFrameSize
		}
		c.dec.allowed = c.set.TableSize
		return nil
	}
	if len(p)%6 != 0 {
		return errFrameSize
	}
	if c.phase == phaseSettings {
		c.phase = phaseFrames
		defer c.role.opened()
	}
	for ; len(p) > 0; p = p[6:] {
		if err := c.setting(http2.SettingID(binary.BigEndian.Uint16(p)), binary.BigEndian.Uint32(p[2:])); err != nil {
			return err
		}
	}
	c.flood.owe(c)
	c.writeControl(http2.FrameSettings, http2.FlagSettingsAck, 0, nil)
	c.sendWaiting()
	return nil
}

func (c *conn) setting(id http2.SettingID, v uint32) *connError {
	switch id {
	case http2.SettingHeaderTableSize:
		c.enc.setMax(min(v, c.set.TableSize))
	case http2.SettingEnablePush:
		if _, server := c.role.(*server); v > 1 || v == 1 && !server {
			return errSettingValue
		}
	case http2.SettingMaxConcurrentStreams:
		c.role.maxStreams(v)
	case http2.SettingInitialWindowSize:
		if v > maxWindow {
			return errWindowSetting
		}
		delta := int64(v) - int64(c.peerWindow)
		c.peerWindow = int32(v)
		for _, s := range c.streams {
			w := int64(s.sendWindow) + delta
			if w > maxWindow {
				return errWindowSetting
			}
			s.sendWindow = int32(w)
			c.windowOpened(s)
		}
	case http2.SettingMaxFrameSize:
		if v < minMaxFrame || v > topMaxFrame {
			return errSettingValue
		}
		// Longer frames than these would only let one stream hold up others.
		c.maxFrame = int(min(v, maxFrameSent))
	case http2.SettingEnableConnectProtocol:
		if v > 1 {
			return errSettingValue
		}
	}
	return nil
}

// windowOpened lists a stream again that waited for its window.
func (c *conn) windowOpened(s *stream) {
	if s.held && s.sendWindow > 0 {
		c.waiting.push(s)
	}
}

// maxFrameSent is the longest DATA frame sent to a peer that takes it.
const maxFrameSent = 64 << 10

func (c *conn) onPing(f frame, p []byte) *connError {
	switch {
	case f.stream != 0:
		return errStreamID
	case len(p) != 8:
		return errFrameSize
	case f.flags.Has(http2.FlagPingAck):
		c.keepAlive.answered()
		return nil
	}
	c.flood.owe(c)
	c.writeControl(http2.FramePing, http2.FlagPingAck, 0, p)
	return nil
}

func (c *conn) onGoAway(f frame, p []byte) *connError {
	if f.stream != 0 {
		return errStreamID
	}
	if len(p) < 8 {
		return errFrameSize
	}
	c.flood.owe(c)
	c.role.goAway(binary.BigEndian.Uint32(p)&maxStreamID, http2.ErrCode(binary.BigEndian.Uint32(p[4:])))
	return nil
}

func (c *conn) onWindowUpdate(f frame, p []byte) *connError {
	if len(p) != 4 {
		return errFrameSize
	}
	c.flood.windowUpdates++
	c.flood.ratios(c)
	n := binary.BigEndian.Uint32(p) & maxWindow
	if f.stream == 0 {
		if n == 0 {
			return errZeroWindow
		}
		if int64(c.sendWindow)+int64(n) > maxWindow {
			return errWindow
		}
		c.sendWindow += int32(n)
		c.sendWaiting()
		return nil
	}
	s := c.streams[f.stream]
	switch {
	case s == nil && c.idle(f.stream):
		return errIdleStream
	case n == 0:
		c.refuse(f.stream, http2.ErrCodeProtocol)
	case s == nil: // just closed
	case int64(s.sendWindow)+int64(n) > maxWindow:
		c.refuse(f.stream, http2.ErrCodeFlowControl)
	default:
		s.sendWindow += int32(n)
		c.windowOpened(s)
		c.sendWaiting()
	}
	return nil
}
