package lb

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/streaminfo"
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
	// StreamInfo is nil for connections and for requests of the proxy's own.
	StreamInfo() *streaminfo.Info
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
func (NoContext) StreamInfo() *streaminfo.Info               { return nil }
func (NoContext) MetadataMatch() []MetadataCriterion         { return nil }
func (NoContext) HostSelectionRetryCount() int               { return 0 }
func (NoContext) ShouldSelectAnotherHost(*cluster.Host) bool { return false }
func (NoContext) PriorityLoad(_ *cluster.PrioritySet, original *cluster.PriorityLoad) *cluster.PriorityLoad {
	return original
}

// Policy is a compiled load balancing policy. What becomes of it in a cluster
// has three stages, as in Envoy: main's part, what main hands to the workers
// for each set of hosts, and each worker's own balancer.
type Policy interface {
	// Name is the policy's short name: "round_robin".
	Name() string
	// New is called once for a cluster.
	New(env Env) ThreadAware
}

// Env is what a policy may know of its cluster.
type Env struct {
	Info   *cluster.Info
	Owners int // main and the workers
	Main   *network.Loop
	// Changed asks for the hosts to be handed out anew, as their weights have
	// changed.
	Changed func()
	// Local are the hosts of the cluster that the proxy itself belongs to, for
	// zone aware routing; nil when the bootstrap names no local_cluster_name.
	// Main only.
	Local func() *cluster.HostSet
}

// ThreadAware is a policy's part on main.
type ThreadAware interface {
	// Factory makes what all workers share for these hosts.
	Factory(hosts *cluster.PrioritySet) Factory
	// Close takes the policy's own statistics off the pages.
	Close()
}

// Factory makes a worker's balancer for the hosts that it was made for. s is
// that worker's statistics of the cluster.
type Factory interface {
	New(s *cluster.Stats) Balancer
}

// ActiveSharer is a Policy that looks at cluster.Host.Active.
type ActiveSharer interface{ NeedsActive() bool }

// Balancer picks hosts for one worker.
type Balancer interface {
	// Choose picks a host, nil when there is none that may be used. It picks
	// another for as often as ctx wants one.
	Choose(ctx Context) *cluster.Host
}

// Peeker is a Balancer that can tell which host it will choose next, so that
// connections can be made ahead of requests.
type Peeker interface {
	// Peek is the host that comes after those of the last calls of Peek: Choose
	// will take them in that order. nil: none, or it cannot be known.
	Peek(ctx Context) *cluster.Host
}

// Updater is a Balancer that outlives its hosts: it is told of new ones, and
// not replaced.
type Updater interface {
	Update(hosts *cluster.PrioritySet)
}

// static is a ThreadAware without state.
type static func(hosts *cluster.PrioritySet) Factory

// Factory implements ThreadAware.
func (f static) Factory(hosts *cluster.PrioritySet) Factory { return f(hosts) }

// Close implements ThreadAware.
func (static) Close() {}
