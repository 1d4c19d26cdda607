package async

import (
	"time"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/upstream"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/proxy/upstream/lb"
)

// Client sends requests through the clusters of one worker.
type Client struct{ table *upstream.Table }

// NewClient makes the client of the worker that t belongs to.
func NewClient(t *upstream.Table) Client { return Client{t} }

// Clients gives each worker's client, by the workers' cluster tables.
func Clients(tables func(worker int) *upstream.Table) func(worker int) Client {
	return func(worker int) Client { return NewClient(tables(worker)) }
}

// Has tells whether there is a cluster of the name.
func (c Client) Has(name string) bool { return c.table.Get(name) != nil }

// Loop is the worker's loop.
func (c Client) Loop() *network.Loop { return c.table.Loop() }

// Options are how a request is sent.
type Options struct {
	// Timeout bounds the time from the request's end to the response's;
	// 0: none.
	Timeout time.Duration
	// Downstream is on whose behalf the request is made, nil for the proxy's
	// own. On a node each pod has connections of its own.
	Downstream *network.Connection
	// Priority is the routing priority.
	Priority cluster.Priority
	// External leaves out x-envoy-internal, which Envoy adds to its own
	// requests.
	External bool
	// HashKey makes hashing load balancers pick by Hash.
	HashKey bool
	Hash    uint64
	// Subset is what subset load balancers choose by.
	Subset []lb.MetadataCriterion
	// Uncounted leaves statuses out of the cluster's statistics, as a router
	// without dynamic_stats does.
	Uncounted bool
	// Retry has a Request tried again; nil: it is not.
	Retry *Retry
	// MaxBody bounds a Request's response body in bytes; 0: 1 MiB. A longer
	// one makes the response a local 507.
	MaxBody int
}

// balanceContext is what load balancers may know of a stream.
type balanceContext struct {
	lb.NoContext
	s *Stream
}

// HashKey implements lb.Context.
func (b balanceContext) HashKey() (uint64, bool) { return b.s.o.Hash, b.s.o.HashKey }

// MetadataMatch implements lb.Context.
func (b balanceContext) MetadataMatch() []lb.MetadataCriterion { return b.s.o.Subset }

// DownstreamConnection implements lb.Context.
func (b balanceContext) DownstreamConnection() *network.Connection { return b.s.o.Downstream }

// RequestHeaders implements lb.Context.
func (b balanceContext) RequestHeaders() *http.HeaderMap { return &b.s.request }
