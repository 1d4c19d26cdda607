package listener

import "sync/atomic"

// globalLimitKey bounds the connections of all listeners together.
const globalLimitKey = "overload.global_downstream_max_connections"

// limit counts connections over all workers.
type limit struct{ open atomic.Int64 }

// take counts one more if there may be that many.
func (l *limit) take(most uint64) bool {
	if l.open.Add(1) > int64(min(most, 1<<62)) {
		l.open.Add(-1)
		return false
	}
	return true
}

func (l *limit) put() { l.open.Add(-1) }

const unlimited = 1 << 62

// admit counts a new connection against the limits.
func (al *activeListener) admit() bool {
	s, global := al.h.shared, uint64(unlimited)
	if !al.l.ignoreGlobalLimit {
		global = s.overload.MaxConnections(s.runtime.Get(globalLimitKey, unlimited))
	}
	if !al.l.open.take(s.runtime.Get(al.l.limitKey, unlimited)) {
		al.stats.CxOverflow.Inc()
		return false
	}
	if !s.open.take(global) {
		al.l.open.put()
		al.stats.GlobalCxOverflow.Inc()
		return false
	}
	return true
}

// left undoes admit when the connection has gone.
func (al *activeListener) left() {
	al.l.open.put()
	al.h.shared.open.put()
	al.balancerClosed()
}
