package network

// ByteCounters are where a connection counts its bytes as they pass. They
// belong to the connection's worker and are shared with its neighbours.
type ByteCounters struct {
	Rx, Tx *uint64
	// Besides counts the same bytes, and goes on when SetCounters replaces
	// the counters that it is with.
	Besides *ByteCounters
}

// SetCounters sets where the connection's bytes are counted from now on.
func (c *Connection) SetCounters(n *ByteCounters) {
	if c.counters != nil && c.counters.Besides != nil {
		with := *n
		with.Besides = c.counters.Besides
		n = &with
	}
	c.counters = n
}

func (n *ByteCounters) count(rx, tx int) {
	for ; n != nil; n = n.Besides {
		if rx > 0 && n.Rx != nil {
			*n.Rx += uint64(rx)
		}
		if tx > 0 && n.Tx != nil {
			*n.Tx += uint64(tx)
		}
	}
}
