package formatter

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// instant is a point in a stream's life by the worker's clock; 0 when it has
// not come.
type instant func(*Context) time.Duration

func begin(c *Context) time.Duration             { return c.Info.Begin }
func lastDownstreamRx(c *Context) time.Duration  { return c.Info.LastDownstreamRxByte }
func poolAsked(c *Context) time.Duration         { return c.Info.UpstreamPoolAsked }
func poolReady(c *Context) time.Duration         { return c.Info.UpstreamPoolReady }
func connectBegin(c *Context) time.Duration      { return c.Info.UpstreamConnectBegin }
func connectEnd(c *Context) time.Duration        { return c.Info.UpstreamConnectEnd }
func upstreamHandshake(c *Context) time.Duration { return c.Info.UpstreamHandshakeEnd }
func firstUpstreamTx(c *Context) time.Duration   { return c.Info.FirstUpstreamTxByte }
func lastUpstreamTx(c *Context) time.Duration    { return c.Info.LastUpstreamTxByte }
func firstUpstreamRx(c *Context) time.Duration   { return c.Info.FirstUpstreamRxByte }
func firstUpstreamBody(c *Context) time.Duration { return c.Info.FirstUpstreamRxBody }
func lastUpstreamRx(c *Context) time.Duration    { return c.Info.LastUpstreamRxByte }
func firstDownstreamTx(c *Context) time.Duration { return c.Info.FirstDownstreamTxByte }
func lastDownstreamTx(c *Context) time.Duration  { return c.Info.LastDownstreamTxByte }
func lastDownstreamAck(c *Context) time.Duration { return c.Info.LastDownstreamAck }

func downstreamOpened(c *Context) time.Duration {
	if c.Info.Conn == nil {
		return 0
	}
	return c.Info.Conn.Opened()
}

func downstreamHandshakeBegin(c *Context) time.Duration {
	begin, _ := handshake(c)
	return begin
}

func downstreamHandshake(c *Context) time.Duration {
	_, end := handshake(c)
	return end
}

// handshake is when the client's began and was done.
func handshake(c *Context) (begin, end time.Duration) {
	if c.Info.Conn == nil || c.Info.Conn.Info == nil {
		return 0, 0
	}
	return c.Info.Conn.Info.HandshakeBegin, c.Info.Conn.Info.HandshakeEnd
}

func appendDuration(dst []byte, c *Context) ([]byte, kind) {
	return strconv.AppendInt(dst, c.Info.Duration(c.Now).Milliseconds(), 10), literal
}

// sinceBegin is the milliseconds from the stream's begin to an instant.
func sinceBegin(end instant) command { return plain(elapsed(begin, end, time.Millisecond)) }

// between is the milliseconds from one instant to another.
func between(start, end instant) command { return plain(elapsed(start, end, time.Millisecond)) }

func elapsed(start, end instant, unit time.Duration) operator {
	return func(dst []byte, c *Context) ([]byte, kind) {
		from, to := start(c), end(c)
		if from == 0 || to == 0 {
			return dst, none
		}
		return strconv.AppendInt(dst, int64((to-from)/unit), 10), literal
	}
}

// instants are the names that COMMON_DURATION knows.
var instants = map[string]instant{
	"DS_CX_BEG":      downstreamOpened,
	"DS_HS_BEG":      downstreamHandshakeBegin,
	"DS_HS_END":      downstreamHandshake,
	"DS_RX_BEG":      begin,
	"DS_RX_END":      lastDownstreamRx,
	"US_CX_BEG":      connectBegin,
	"US_CX_END":      connectEnd,
	"US_HS_END":      upstreamHandshake,
	"US_TX_BEG":      firstUpstreamTx,
	"US_TX_END":      lastUpstreamTx,
	"US_RX_BEG":      firstUpstreamRx,
	"US_RX_BODY_BEG": firstUpstreamBody,
	"US_RX_END":      lastUpstreamRx,
	"DS_TX_BEG":      firstDownstreamTx,
	"DS_TX_END":      lastDownstreamTx,
}

// compileCommonDuration is COMMON_DURATION(start:end:unit). Envoy lets
// filters name further instants; weir has none.
func compileCommonDuration(param string) (operator, error) {
	parts := strings.Split(param, ":")
	if len(parts) != 2 && len(parts) != 3 {
		return nil, fmt.Errorf("it takes start:end or start:end:unit, not %q", param)
	}
	unit := time.Millisecond
	if len(parts) == 3 {
		switch parts[2] {
		case "ms":
		case "us":
			unit = time.Microsecond
		case "ns":
			unit = time.Nanosecond
		default:
			return nil, fmt.Errorf("the unit is ms, us or ns, not %q", parts[2])
		}
	}
	start, end := instants[parts[0]], instants[parts[1]]
	if start == nil || end == nil {
		return missing, nil // instants of filters' own, which no filter of weir records
	}
	took := elapsed(start, end, unit)
	return func(dst []byte, c *Context) ([]byte, kind) {
		if end(c) < start(c) {
			return dst, none
		}
		return took(dst, c)
	}, nil
}
