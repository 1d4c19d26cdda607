package cluster

import (
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/weirproxy/weir/proxy/http/http1"
	"github.com/weirproxy/weir/proxy/http/http2"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
)

// Metadata is a compiled envoy.config.core.v3.Metadata: values by namespace.
type Metadata map[string]map[string]any

// Priority is a routing priority (envoy.config.core.v3.RoutingPriority). Each
// has its own circuit breakers and connection pools.
type Priority uint8

const (
	Default Priority = iota
	High
	NumPriorities
)

// Protocol is what is spoken to a cluster's hosts.
type Protocol uint8

const (
	HTTP1 Protocol = iota
	HTTP2
	// Auto is what ALPN negotiates, HTTP/1 when it does not.
	Auto
	// UseDownstream is what the request came by.
	UseDownstream
)

// Info is a cluster's settings, immutable.
type Info struct {
	Name     string
	StatName string // alt_stat_name, or the name: what statistics and logs show

	ConnectTimeout time.Duration
	BufferLimit    uint32 // bytes a connection buffers before it pushes back
	// MaxRequestsPerConnection is how many requests a connection carries
	// before it is closed; 0: any number.
	MaxRequestsPerConnection uint32
	// IdleTimeout closes a pooled connection without requests; 0: never.
	IdleTimeout time.Duration
	// MaxConnectionDuration drains a connection after this time; 0: never.
	MaxConnectionDuration time.Duration
	MaxConnectionJitter   float64 // at most this part of it is added, by chance
	// MaxStreamDuration ends a request, or a try of it, that takes longer; 0: never.
	MaxStreamDuration time.Duration

	// HTTP1 is how HTTP/1 is spoken; nil: the defaults. Each worker counts in
	// a copy of its own.
	HTTP1 *http1.Settings
	// HTTP2 is how HTTP/2 is spoken, likewise.
	HTTP2      *http2.Settings
	Preconnect Preconnect
	// HTTPPolicies is the router's: what the cluster has to say of its requests.
	// nil for nothing.
	HTTPPolicies any
	// HTTPFilters are the router's, too: filters that requests pass on their way
	// to a connection. nil for none.
	HTTPFilters   any
	Protocol      Protocol
	HappyEyeballs HappyEyeballs
	Socket        *SocketOptions          // nil: the system's defaults
	Transport     Transport               // nil: plain bytes
	Filters       []network.FilterFactory // of each connection, before its user
	// AutoSNI and AutoSANs make the request's host the SNI, and what the
	// peer's certificate must be for.
	AutoSNI, AutoSANs bool
	// AutoSNIHeader is where the host is taken from instead of :authority.
	AutoSNIHeader string
	// SendsAddresses tells that the transport sends the downstream
	// connection's addresses on.
	SendsAddresses bool
	// SharesState tells that the transport hands shared filter state on.
	SharesState bool
	Metadata    Metadata
	Resources   *[NumPriorities]Resources
	StatGroup   *stats.Group[Stats]
	Sizes       *stats.Group[SizeStats]   // nil unless they are tracked
	Budgets     *stats.Group[BudgetStats] // likewise
	Store       *stats.Store              // for what is counted by few clusters only

	// CloseOnHealthFailure closes TCP connections to a host that has failed.
	CloseOnHealthFailure bool
	Override             OverrideStatus
	// PoolPerDownstream keeps the requests of different downstream connections
	// on different upstream connections.
	PoolPerDownstream bool
	// DynamicForward tells that the hosts are what requests name.
	DynamicForward bool
	// Maintained tells that a request is to be refused: so many of 100 as the
	// runtime's upstream.maintenance_mode.<name> says. nil: none. Workers call it.
	Maintained func() bool
	// Used tells that a connection to one of the hosts was made: active health
	// checks come more often then.
	Used atomic.Bool
	// ShareActive keeps Host.Active over all workers: least request asks for it.
	ShareActive bool
	AddedViaAPI bool

	// Dropped counts, for load reports, the requests that a full circuit breaker
	// or the endpoints' policy has ended, DropOverload those of the policy.
	Dropped, DropOverload atomic.Uint64
}

// Preconnect is how many connections are made ahead of requests
// (envoy.config.cluster.v3.Cluster.preconnect_policy): streams provided for, by
// each that is there. 0 and 1 are those that there are.
type Preconnect struct {
	PerUpstream float64 // by a host's pool
	Predictive  float64 // by the cluster, at the hosts that come next
}

// OverrideStatus are the states in which a host that a filter asks for, past
// load balancing, may be taken (CommonLbConfig.override_host_status).
type OverrideStatus struct{ Healthy, Degraded, Unhealthy, Draining bool }

// Allows tells whether the host's state is one of them.
func (o OverrideStatus) Allows(h *Host) bool {
	switch f := h.Health(); {
	case f&(unhealthyFlags&^EDSStatusDraining) != 0:
		return o.Unhealthy
	case f&EDSStatusDraining != 0:
		return o.Draining
	case f&degradedFlags != 0:
		return o.Degraded
	}
	return o.Healthy
}

// ConnectionLifetime is how long a connection may stand; 0: for ever.
func (i *Info) ConnectionLifetime() time.Duration {
	d := i.MaxConnectionDuration
	if most := time.Duration(float64(d) * i.MaxConnectionJitter); most > 0 {
		d += rand.N(most)
	}
	return d
}

// Chain is the network filters of a connection whose last one is its user's.
func (i *Info) Chain(last network.FilterFactory) []network.FilterFactory {
	if i == nil || len(i.Filters) == 0 {
		return []network.FilterFactory{last}
	}
	return append(i.Filters[:len(i.Filters):len(i.Filters)], last)
}

// ForwardPort is the port of names without one, in a DynamicForward cluster.
func (i *Info) ForwardPort() uint16 {
	if i.Transport != nil {
		return 443
	}
	return 80
}

// StatScope is where the cluster's statistics are.
func (i *Info) StatScope() stats.Scope { return stats.Scope{Prefix: "cluster." + i.StatName + "."} }

// Stats is the worker's part of the cluster's statistics; owner as in
// stats.Group.For.
func (i *Info) Stats(owner int) *Stats { return i.StatGroup.For(owner) }

// SocketOptions are how upstream sockets are made
// (envoy.config.cluster.v3.Cluster.upstream_bind_config and
// upstream_connection_options).
type SocketOptions struct {
	Bind    []network.Address // one for each address family, at most
	Options []network.SocketOption
}

// BindFor is the source address for connections to a, unset when there is none.
func (o *SocketOptions) BindFor(a network.Address) network.Address {
	if o == nil || a.IsPipe() {
		return network.Address{}
	}
	for _, b := range o.Bind {
		if b.Addr().Is4() == a.Addr().Is4() {
			return b
		}
	}
	return network.Address{}
}

// Sockopts are the options to set on each socket.
func (o *SocketOptions) Sockopts() []network.SocketOption {
	if o == nil {
		return nil
	}
	return o.Options
}
