package admin

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weirproxy/weir/proxy/stats"
)

// Sources is the instance as the pages see it. A page whose source is nil
// answers 501. The functions that return an error answer 503 with it.
type Sources struct {
	// State is what /ready says.
	State func() State
	// ServerInfo is an envoy.admin.v3.ServerInfo.
	ServerInfo func() proto.Message
	// Stats may be asked for a snapshot at any time.
	Stats StatsStore

	Clusters  func(context.Context) ([]Cluster, error)
	Listeners func(context.Context) ([]Listener, error)
	Routes    func(context.Context) ([]RouteTable, error)
	Certs     func(context.Context) ([]Certificate, error)
	Runtime   func(context.Context) (Runtime, error)
	// ModifyRuntime sets keys in the admin layer; an empty value removes one.
	ModifyRuntime func(map[string]string) error
	// ConfigDump returns Envoy's envoy.admin.v3.*ConfigDump messages in Envoy's
	// order: bootstrap, clusters, endpoints (with includeEDS), listeners, scoped
	// routes, routes, secrets. They are not changed, and secrets in them are
	// not shown.
	ConfigDump func(ctx context.Context, includeEDS bool) ([]proto.Message, error)
	// InitDump is what the instance still waits for before it is live.
	InitDump func(context.Context) ([]UnreadyTargets, error)

	Loggers Loggers
	// Log gets a line for each request that changes something; nil: slog.Default.
	Log *slog.Logger

	// Traffic, if not nil, is told of the server's own connections and requests.
	Traffic Traffic

	// Access is told of each answered request, on that request's goroutine.
	Access func(Access)

	// FailHealthCheck makes the instance fail (or pass again) health checks,
	// and /ready with them.
	FailHealthCheck func(fail bool)
	// Drain starts draining and returns.
	Drain func(DrainOptions) error
	// Quit starts to end the process and returns.
	Quit func()
	// ReopenLogs reopens the access logs' files.
	ReopenLogs func()
}

// Traffic counts the server's own connections and requests. Any goroutine calls it.
type Traffic interface {
	Connected()
	Disconnected(lasted time.Duration)
	Requested()
	Answered(status int, took time.Duration)
}

// Access is an answered request, for the access log.
type Access struct {
	Request *http.Request
	Begun   time.Time
	Status  int
	Sent    uint64 // bytes of the body
}

// State is a server's state, in Envoy's words.
type State string

// The states of envoy.admin.v3.ServerInfo.
const (
	Live            State = "LIVE"
	Draining        State = "DRAINING"
	PreInitializing State = "PRE_INITIALIZING"
	Initializing    State = "INITIALIZING"
)

// StatsStore is the part of a stats.Store that the pages use.
type StatsStore interface {
	Snapshot(context.Context) (*stats.Snapshot, error)
	ResetCounters(context.Context) error
}

// Loggers are the named loggers of the process.
type Loggers interface {
	// Levels lists them in the order of the page.
	Levels() []LoggerLevel
	// SetLevel changes one logger, which exists, to one of Envoy's levels:
	// trace, debug, info, warning, error, critical or off.
	SetLevel(name, level string)
}

// LoggerLevel is a logger and its level.
type LoggerLevel struct{ Name, Level string }

// DrainOptions are the parameters of /drain_listeners.
type DrainOptions struct {
	Graceful    bool // wait for the drain time before the listeners close
	SkipExit    bool // drain connections, and keep the listeners
	InboundOnly bool // only listeners whose traffic_direction is INBOUND
}

// Listener is a line of /listeners.
type Listener struct {
	Name string
	// Addresses are the bound ones: "10.0.0.1:80", "[::]:80", or a socket's path.
	Addresses []string
}

// UnreadyTargets is what a part of the instance waits for.
type UnreadyTargets struct {
	Name        string   `json:"name"`
	TargetNames []string `json:"target_names"`
}

// Runtime is the runtime's layers and what they come to.
type Runtime struct {
	Layers  []string                `json:"layers"`
	Entries map[string]RuntimeEntry `json:"entries"`
}

// RuntimeEntry is a key's value in each layer ("" where it has none) and in the end.
type RuntimeEntry struct {
	LayerValues []string `json:"layer_values"`
	FinalValue  string   `json:"final_value"`
}

// RouteTable is a route configuration as /routes draws it; [NewRouteTable]
// makes one from its proto.
type RouteTable struct {
	Name         string        `json:"name"`
	Source       string        `json:"source"`              // "static", "rds" and so on
	Version      string        `json:"version,omitempty"`   // of the xDS update it came with
	Listeners    []string      `json:"listeners,omitempty"` // that use it
	VirtualHosts []VirtualHost `json:"virtual_hosts"`
}

// VirtualHost is a virtual host and its routes, in the order they are tried.
type VirtualHost struct {
	Name    string   `json:"name"`
	Domains []string `json:"domains"`
	Routes  []Route  `json:"routes"`
}

// Route is a route entry: what it matches and what it does.
type Route struct {
	Name  string `json:"name,omitempty"`
	Match string `json:"match"`
	// Action is what happens, when that is not simply Clusters: "redirect …",
	// "direct response 404", "cluster from header x-cluster".
	Action   string            `json:"action,omitempty"`
	Clusters []WeightedCluster `json:"weighted_clusters,omitempty"`
}

// WeightedCluster is where a share of a route's requests goes.
type WeightedCluster struct {
	Name   string `json:"name"`
	Weight uint32 `json:"weight"`
	Share  string `json:"share"` // "90 %"
}
