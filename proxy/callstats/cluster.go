package callstats

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/route"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream"
)

// Tables are the tables of all workers.
type Tables struct {
	loops    []*network.Loop
	clusters func(worker int) *upstream.Table
	byWorker []*Table
}

// NewTables makes the tables for calls of a protocol. clusters gives each
// worker's cluster table.
func NewTables(store *stats.Store, loops []*network.Loop, clusters func(worker int) *upstream.Table, protocol string) *Tables {
	t := &Tables{loops: loops, clusters: clusters, byWorker: make([]*Table, len(loops))}
	for i := range loops {
		t.byWorker[i] = NewTable(store, i, protocol)
	}
	return t
}

// Of is the table of a stream's worker, and the name that the cluster of its
// route has in statistics; ok is false when it goes to no known cluster.
func (t *Tables) Of(cb http.FilterCallbacks) (table *Table, cluster string, ok bool) {
	r, ok := cb.Route().(*route.Route)
	if !ok || r.Forward() == nil {
		return nil, "", false
	}
	c := t.clusters(cb.Worker()).Get(r.Cluster(cb.RequestHeaders()))
	if c == nil {
		return nil, "", false
	}
	return t.byWorker[cb.Worker()], c.Info().StatName, true
}

// Close ends the statistics.
func (t *Tables) Close() {
	for i, l := range t.loops {
		l.Post(t.byWorker[i].Close)
	}
}
