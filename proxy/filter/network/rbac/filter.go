package rbac

import (
	"time"

	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/matcher/tree"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/rbac"
	"github.com/weirproxy/weir/proxy/stats"
)

// Stats are at <stat_prefix>.rbac.
type Stats struct {
	Allowed stats.Counter `stat:"allowed"`
	Denied  stats.Counter `stat:"denied"`
}

// Shadow are at <stat_prefix>.rbac.[<shadow_rules_stat_prefix>.]
type Shadow struct {
	Allowed stats.Counter `stat:"shadow_allowed"`
	Denied  stats.Counter `stat:"shadow_denied"`
}

const namespace = "envoy.filters.network.rbac"

type settings struct {
	enforced, shadow                 *rbac.Engine // nil: nothing is checked
	every                            bool         // check at every read
	delay                            time.Duration
	shadowPolicyKey, shadowResultKey string // in the dynamic metadata
	stats                            *stats.Group[Stats]
	shadowStats                      *stats.Group[Shadow]
}

func (s *settings) newFilter(cb *network.ReadCallbacks) network.ReadFilter {
	return &filter{s: s, conn: cb.Connection()}
}

type filter struct {
	network.NoWatermarks
	s       *settings
	conn    *network.Connection
	checked bool
	denied  bool
	timer   *event.Timer // until a denied connection is closed
}

// OnNewConnection implements network.ReadFilter: who the peer is shows only
// with the first byte.
func (f *filter) OnNewConnection() network.FilterStatus { return network.Continue }

// OnData implements network.ReadFilter.
func (f *filter) OnData(*network.Buffer, bool) network.FilterStatus {
	if f.denied {
		return network.StopIteration
	}
	if f.checked && !f.s.every {
		return network.Continue
	}
	var d tree.Data
	d.SetConnection(f.conn)
	worker := f.conn.Loop().Worker
	if f.s.shadow != nil {
		f.checkShadow(&d, f.s.shadowStats.For(worker))
	}
	f.checked = true
	if f.s.enforced == nil {
		return network.Continue
	}
	v := f.check(f.s.enforced, &d)
	st := f.s.stats.For(worker)
	if v.Allowed {
		st.Allowed.Inc()
		return network.Continue
	}
	st.Denied.Inc()
	f.deny(v)
	return network.StopIteration
}

func (f *filter) deny(v rbac.Verdict) {
	f.denied = true
	info := f.conn.EnsureInfo()
	info.TerminationDetails, info.CloseReason = v.Details(), "rbac_deny_close"
	if f.s.delay == 0 {
		f.conn.Close(network.NoFlush)
		return
	}
	f.conn.ReadDisable(true)
	f.conn.AddCallbacks(f)
	f.timer = f.conn.Loop().NewTimer(func() { f.conn.Close(network.NoFlush) })
	f.timer.Enable(f.s.delay)
}

func (f *filter) checkShadow(d *tree.Data, st *Shadow) {
	v := f.check(f.s.shadow, d)
	if v.Allowed {
		st.Allowed.Inc()
	} else {
		st.Denied.Inc()
	}
	i := f.conn.EnsureInfo()
	i.SetMetadata(namespace, f.s.shadowResultKey, v.Result())
	if v.Policy != "" {
		i.SetMetadata(namespace, f.s.shadowPolicyKey, v.Name)
	}
}

func (f *filter) check(e *rbac.Engine, d *tree.Data) rbac.Verdict {
	v := e.Check(d, nil)
	if v.Hint {
		f.conn.EnsureInfo().SetMetadata("envoy.common", "access_log_hint", v.LogHint)
	}
	return v
}

// OnEvent implements network.ConnectionCallbacks.
func (f *filter) OnEvent(ev network.ConnectionEvent) {
	if ev != network.Connected {
		f.timer.Release()
	}
}
