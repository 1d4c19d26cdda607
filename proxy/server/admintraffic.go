package server

import (
	"time"

	"github.com/weirproxy/weir/proxy/http/manager"
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/stats"
)

// adminTraffic is an admin.Traffic. The admin pages are served by goroutines,
// not by a listener and a connection manager; it counts for them, on main,
// what those would count.
type adminTraffic struct {
	post     func(func())
	listener *listener.Stats
	handler  *listener.HandlerStats
	manager  *manager.Stats
	codes    *manager.ListenerStats
}

func newAdminTraffic(st *stats.Store, post func(func())) *adminTraffic {
	scope := func(prefix string) stats.Scope { return stats.Scope{Prefix: prefix} }
	manager.CountHTTP1(st)
	return &adminTraffic{
		post:     post,
		listener: stats.NewGroup[listener.Stats](st, scope("listener.admin.")).For(0),
		handler:  stats.NewGroup[listener.HandlerStats](st, scope("listener.admin.main_thread.")).For(0),
		manager:  stats.NewGroup[manager.Stats](st, scope("http.admin.")).For(0),
		codes:    stats.NewGroup[manager.ListenerStats](st, scope("listener.admin.http.admin.")).For(0),
	}
}

// Connected implements admin.Traffic.
func (t *adminTraffic) Connected() {
	t.post(func() {
		t.listener.CxTotal.Inc()
		t.listener.CxActive.Inc()
		t.handler.CxTotal.Inc()
		t.handler.CxActive.Inc()
		t.manager.DownstreamCxTotal.Inc()
		t.manager.DownstreamCxActive.Inc()
		t.manager.DownstreamCxHttp1Total.Inc()
		t.manager.DownstreamCxHttp1Active.Inc()
	})
}

// Disconnected implements admin.Traffic.
func (t *adminTraffic) Disconnected(lasted time.Duration) {
	t.post(func() {
		t.listener.CxDestroy.Inc()
		t.listener.CxActive.Dec()
		t.listener.CxLengthMs.Record(uint64(lasted / time.Millisecond))
		t.handler.CxActive.Dec()
		t.manager.DownstreamCxDestroy.Inc()
		t.manager.DownstreamCxActive.Dec()
		t.manager.DownstreamCxHttp1Active.Dec()
		t.manager.DownstreamCxLengthMs.Record(uint64(lasted / time.Millisecond))
	})
}

// Requested implements admin.Traffic.
func (t *adminTraffic) Requested() {
	t.post(func() {
		t.manager.DownstreamRqTotal.Inc()
		t.manager.DownstreamRqHttp1Total.Inc()
		t.manager.DownstreamRqActive.Inc()
	})
}

// Answered implements admin.Traffic.
func (t *adminTraffic) Answered(status int, took time.Duration) {
	t.post(func() {
		t.manager.CountStatus(status)
		t.codes.CountStatus(status)
		t.manager.DownstreamRqActive.Dec()
		t.manager.DownstreamRqTime.Record(uint64(took / time.Millisecond))
	})
}
