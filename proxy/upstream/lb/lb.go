package lb

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// Context is what a policy may know of the request or connection that needs a
// host. The router and tcp_proxy implement it.
type Context interface {
	// HashKey is the hash of the route's hash policy; ok is false without one.
	HashKey() (hash uint64, ok bool)
	// DownstreamConnection is nil for requests that weir makes itself.
	DownstreamConnection() *network.Connection
	// RequestHeaders is nil for connections.
	RequestHeaders() *http.HeaderMap
	// MetadataMatch is what the route asks of subsets: sorted by key.
	MetadataMatch() []MetadataCriterion
	// HostSelectionRetryCount is how often another host is tried when
	// ShouldSelectAnotherHost says so.
	HostSelectionRetryCount() int
	ShouldSelectAnotherHost(*cluster.Host) bool
	// PriorityLoad lets retry plugins change which priority is used: it
	// returns original to leave it.
	PriorityLoad(set *cluster.PrioritySet, original *cluster.PriorityLoad) *cluster.PriorityLoad
}

// MetadataCriterion is one key of a route's metadata match.
type MetadataCriterion struct {
	Key   string
	Value any
}

// NoContext is a Context without anything, to embed.
type NoContext struct{}

func (NoContext) HashKey() (uint64, bool)                    { return 0, false }
func (NoContext) DownstreamConnection() *network.Connection  { return nil }
func (NoContext) RequestHeaders() *http.HeaderMap            { return nil }
func (NoContext) MetadataMatch() []MetadataCriterion         { return nil }
func (NoContext) HostSelectionRetryCount() int               { return 0 }
func (NoContext) ShouldSelectAnotherHost(*cluster.Host) bool { return false }
func (NoContext) PriorityLoad(_ *cluster.PrioritySet, original *cluster.PriorityLoad) *cluster.PriorityLoad {
	return original
}

// Policy is a compiled load balancing policy, shared by all workers.
type Policy interface {
	// New makes a worker's balancer. s is that worker's statistics of the
	// cluster; hosts the set to begin with.
	New(s *cluster.Stats, hosts *cluster.PrioritySet) Balancer
	// Name is the policy's short name: "round_robin".
	Name() string
}

// Shared is a Policy whose workers share what main makes for each set of
// hosts: tables that take long to make.
type Shared interface {
	Policy
	// NewBuilder is called once for a cluster.
	NewBuilder(info *cluster.Info) Builder
}

// Builder makes what the workers of one cluster share. It belongs to main.
type Builder interface {
	// Build is the policy for these hosts only: its balancers are made anew
	// for others.
	Build(hosts *cluster.PrioritySet) Policy
	// Close takes the builder's statistics off the pages.
	Close()
}

// ActiveSharer is a Policy that looks at cluster.Host.Active.
type ActiveSharer interface{ NeedsActive() bool }

// Balancer picks hosts for one worker.
type Balancer interface {
	// Choose picks a host, nil when there is none that may be used. It picks
	// another for as often as ctx wants one.
	Choose(ctx Context) *cluster.Host
	// Update replaces the hosts.
	Update(hosts *cluster.PrioritySet)
}
