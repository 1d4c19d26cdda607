package http2

// consumed credits n bytes of DATA to the connection's window: WINDOW_UPDATE
// goes out when half of it is used, which keeps the frames few.
func (c *conn) consumed(n int) {
	if n == 0 {
		return
	}
	c.unacked += int32(n)
	if c.unacked >= int32(c.set.ConnectionWindow/2) && c.phase != phaseDead {
		c.writeWindowUpdate(0, uint32(c.unacked))
		c.recvWindow += c.unacked
		c.unacked = 0
	}
}

// taken credits n bytes that the reader of s has taken.
func (c *conn) taken(s *stream, n int) {
	c.consumed(n)
	if s.closed || s.recvEnd || s.lingering {
		return
	}
	s.unacked += int32(n)
	if s.unacked >= int32(c.set.StreamWindow/2) && c.phase != phaseDead {
		c.writeWindowUpdate(s.id, uint32(s.unacked))
		s.recvWindow += s.unacked
		s.unacked = 0
	}
}

// highWatermark is how many bytes a stream holds for a slow peer before its
// user is asked to wait.
func (s *stream) highWatermark() int {
	limit := s.c.set.StreamWindow
	if n := s.c.nc.BufferLimit(); n > 0 {
		limit = min(limit, n)
	}
	return int(limit)
}

// above tells the stream's user to send no more for now.
func (s *stream) above() {
	if s.aboveHigh || s.closed {
		return
	}
	s.aboveHigh = true
	if s.cb != nil {
		s.cb.OnAboveWriteBufferHighWatermark()
	}
}

// belowIfRoom lets the user go on once the stream holds little and the
// connection's output has room.
func (s *stream) belowIfRoom() {
	if !s.aboveHigh || s.closed || s.out.Len() > s.highWatermark()/2 || s.c.nc.AboveHighWatermark() {
		return
	}
	s.aboveHigh = false
	if s.cb != nil {
		s.cb.OnBelowWriteBufferLowWatermark()
	}
}
