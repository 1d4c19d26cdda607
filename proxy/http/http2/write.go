package http2

import (
	"encoding/binary"

	"golang.org/x/net/http2"

	"github.com/weirproxy/weir/proxy/network"
)

// output is where frames are to be written; wrote must follow.
func (c *conn) output() *network.Buffer {
	if out := c.nc.Out(); out != nil {
		return out
	}
	return c.nc.Loop().NewBuffer()
}

func (c *conn) wrote(out *network.Buffer) {
	if out == c.nc.Out() {
		c.nc.Wrote()
	} else {
		c.nc.Write(out, false)
	}
}

// writeControl writes a frame with a short payload.
func (c *conn) writeControl(kind http2.FrameType, flags http2.Flags, id uint32, payload []byte) {
	out := c.output()
	waiting := c.nc.OutputLen()
	n := frameHeaderLen + len(payload)
	p := out.Reserve(n)
	putFrame(p, len(payload), kind, flags, id)
	copy(p[frameHeaderLen:], payload)
	out.Commit(n)
	c.queued(kind, n, waiting)
	c.wrote(out)
}

func (c *conn) writeWindowUpdate(id, n uint32) {
	var p [4]byte
	binary.BigEndian.PutUint32(p[:], n)
	c.writeControl(http2.FrameWindowUpdate, 0, id, p[:])
}

// resetStream writes RST_STREAM.
func (c *conn) resetStream(id uint32, code http2.ErrCode) {
	if c.phase == phaseDead {
		return
	}
	count(c.set.Counters.TxReset)
	c.resets.add(id)
	var p [4]byte
	binary.BigEndian.PutUint32(p[:], uint32(code))
	c.writeControl(http2.FrameRSTStream, 0, id, p[:])
}

func (c *conn) writeGoAway(last uint32, code http2.ErrCode, debug string) {
	p := make([]byte, 8, 8+len(debug))
	binary.BigEndian.PutUint32(p, last)
	binary.BigEndian.PutUint32(p[4:], uint32(code))
	c.writeControl(http2.FrameGoAway, 0, 0, append(p, debug...))
}

// writeSettings announces this side's settings and opens the connection's
// window.
func (c *conn) writeSettings() {
	set := c.set
	var p []byte
	add := func(id http2.SettingID, v uint32) {
		p = binary.BigEndian.AppendUint16(p, uint16(id))
		p = binary.BigEndian.AppendUint32(p, v)
	}
	if _, server := c.role.(*server); !server {
		add(http2.SettingEnablePush, 0)
	}
	for _, x := range set.Extra {
		add(http2.SettingID(x.ID), x.Value)
	}
	connect := uint32(0)
	if set.AllowConnect {
		connect = 1
	}
	add(http2.SettingHeaderTableSize, set.TableSize)
	add(http2.SettingEnableConnectProtocol, connect)
	add(http2.SettingMaxConcurrentStreams, set.MaxStreams)
	add(http2.SettingInitialWindowSize, set.StreamWindow)
	c.writeControl(http2.FrameSettings, 0, 0, p)
	if n := set.ConnectionWindow; n > initWindow {
		c.writeWindowUpdate(0, n-initWindow)
		c.recvWindow = int32(n)
	}
}
