package http2

import (
	"encoding/binary"

	"golang.org/x/net/http2"
)

// frame is a frame's header (RFC 9113 section 4.1).
type frame struct {
	length int
	kind   http2.FrameType
	flags  http2.Flags
	stream uint32
}

const frameHeaderLen = 9

// preface is what a client sends first.
const preface = http2.ClientPreface

func parseFrame(p []byte) frame {
	return frame{
		length: int(p[0])<<16 | int(p[1])<<8 | int(p[2]),
		kind:   http2.FrameType(p[3]),
		flags:  http2.Flags(p[4]),
		stream: binary.BigEndian.Uint32(p[5:]) & maxStreamID,
	}
}

const (
	maxStreamID = 1<<31 - 1
	maxWindow   = 1<<31 - 1
	minMaxFrame = 16 << 10   // least and initial SETTINGS_MAX_FRAME_SIZE
	topMaxFrame = 1<<24 - 1  // and the most it can be
	initWindow  = 64<<10 - 1 // initial flow-control window
)

// putFrame writes a frame's header to p, which has room for it.
func putFrame(p []byte, length int, kind http2.FrameType, flags http2.Flags, stream uint32) {
	p[0], p[1], p[2] = byte(length>>16), byte(length>>8), byte(length)
	p[3], p[4] = byte(kind), byte(flags)
	binary.BigEndian.PutUint32(p[5:], stream)
}

// stripPadding takes the padding off a frame's payload (RFC 9113 section 6.1).
func (f frame) stripPadding(p []byte) ([]byte, bool) {
	if !f.flags.Has(http2.FlagDataPadded) {
		return p, true
	}
	if len(p) == 0 || int(p[0]) >= len(p) {
		return nil, false
	}
	return p[1 : len(p)-int(p[0])], true
}
