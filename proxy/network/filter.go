package network

// FilterStatus tells whether the chain goes on to the next filter.
type FilterStatus uint8

const (
	Continue      FilterStatus = iota
	StopIteration              // resumed by ReadCallbacks.ContinueReading
)

// ReadFilter sees a connection's bytes as they arrive.
type ReadFilter interface {
	// OnNewConnection is called once, before any data.
	OnNewConnection() FilterStatus
	// OnData is given all that is buffered. A filter drains what it has
	// consumed; the rest is there at the next call, with what came since.
	OnData(b *Buffer, endStream bool) FilterStatus
}

// WriteFilter sees bytes on their way out, before the transport socket.
type WriteFilter interface {
	OnWrite(b *Buffer, endStream bool) FilterStatus
}

// FilterFactory makes one filter of a new connection. It may return a filter
// that is a WriteFilter too.
type FilterFactory func(*ReadCallbacks) ReadFilter

// ReadCallbacks is a read filter's place in its connection's chain.
type ReadCallbacks struct {
	conn   *Connection
	filter ReadFilter
	opened bool // OnNewConnection was called
	index  uint8
}

// Connection is the filter's connection.
func (r *ReadCallbacks) Connection() *Connection { return r.conn }

// ContinueReading resumes the chain behind a filter that had returned
// StopIteration.
func (r *ReadCallbacks) ContinueReading() {
	c := r.conn
	if c.state == stateClosed {
		return
	}
	if c.startFilters(int(r.index) + 1) {
		c.runRead(int(r.index)+1, c.readEnd)
	}
	c.resumeReading()
}

// BuildFilters makes the connection's filter chain. Start must follow.
func (c *Connection) BuildFilters(fs []FilterFactory) {
	c.filters = c.firstFilter[:]
	if len(fs) != 1 {
		c.filters = make([]ReadCallbacks, len(fs))
	}
	for i, f := range fs {
		r := &c.filters[i]
		r.conn, r.index = c, uint8(i)
		r.filter = f(r)
		if w, ok := r.filter.(WriteFilter); ok {
			r := c.rarely()
			r.writeFilters = append(r.writeFilters, w)
		}
	}
}

// Start tells the filters of the new connection. It returns false when one of
// them closed it.
func (c *Connection) Start() bool {
	c.startFilters(0)
	return c.state != stateClosed
}

// startFilters calls OnNewConnection from filter i on, up to one that stops.
// It returns whether all filters are open.
func (c *Connection) startFilters(i int) bool {
	for ; i < len(c.filters); i++ {
		f := &c.filters[i]
		if f.opened {
			continue
		}
		f.opened = true
		if f.filter.OnNewConnection() == StopIteration || c.state == stateClosed {
			return false
		}
	}
	return true
}

// runRead passes the input to the filters from i on.
func (c *Connection) runRead(i int, end bool) {
	for ; i < len(c.filters); i++ {
		f := &c.filters[i]
		if !f.opened {
			f.opened = true
			if f.filter.OnNewConnection() == StopIteration {
				return
			}
		}
		if c.state == stateClosed || c.in.size == 0 && !end {
			return
		}
		if f.filter.OnData(&c.in, end) == StopIteration || c.state == stateClosed {
			return
		}
	}
}
