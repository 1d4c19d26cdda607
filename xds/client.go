package xds

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"sync"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/weirproxy/weir/internal/buildinfo"
	"github.com/weirproxy/weir/internal/field"
)

// Options make a Client.
type Options struct {
	// Bootstrap gives the node, the ADS server and the static clusters by
	// which envoy_grpc names a management server.
	Bootstrap *bootstrapv3.Bootstrap

	// Post runs a function on the main goroutine: later, in order, never
	// inside Post itself, and without blocking the caller. All callbacks and
	// timers of the client go through it.
	Post func(func())

	// Secure makes TLS configurations of a cluster's transport socket at a
	// path, for connections to management servers: the function that it
	// returns is called for each, and gives nil while secrets are missing.
	// Without Secure such clusters are refused.
	Secure func(path field.Path, ts *corev3.TransportSocket) (func() *tls.Config, error)

	Logger *slog.Logger // nil: slog.Default()
	Stats  Stats        // of the ADS stream (control_plane.…); may be nil
}

// Client is the xDS client of one proxy. All methods are for the main
// goroutine, the one on which Options.Post runs functions.
type Client struct {
	post     func(func())
	log      *slog.Logger
	stats    Stats
	secure   func(field.Path, *corev3.TransportSocket) (func() *tls.Config, error)
	node     *corev3.Node
	clusters map[string]*clusterv3.Cluster // static ones, by name
	ads      *target                       // nil: no ADS server is configured

	collections map[string]*collection // by source and type
	streams     map[string]wire        // by source; the ADS stream is ""
	files       fileWatcher
	paused      map[string]int // type URL → depth
	closed      bool

	ctx     context.Context // ends the streams
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// New makes a client; it connects when something is subscribed to. The error
// is that the bootstrap's ads_config cannot be used.
func New(o Options) (*Client, error) {
	c := &Client{
		post: o.Post, log: o.Logger, stats: orNoStats(o.Stats), secure: o.Secure,
		node:        describe(o.Bootstrap.GetNode()),
		clusters:    map[string]*clusterv3.Cluster{},
		collections: map[string]*collection{},
		streams:     map[string]wire{},
		paused:      map[string]int{},
	}
	if c.log == nil {
		c.log = slog.Default()
	}
	for _, cl := range o.Bootstrap.GetStaticResources().GetClusters() {
		c.clusters[cl.Name] = cl
	}
	c.files.client = c
	c.ctx, c.cancel = context.WithCancel(context.Background())
	if ads := o.Bootstrap.GetDynamicResources().GetAdsConfig(); ads != nil {
		t, err := c.apiTarget(field.Path("dynamic_resources.ads_config"), ads, false)
		if err != nil {
			c.cancel()
			return nil, err
		}
		if err := c.checkNode("dynamic_resources.ads_config"); err != nil {
			c.cancel()
			return nil, err
		}
		c.ads = t
	}
	return c, nil
}

// Node is what the client says of the proxy to servers. It is not changed, but
// replaced by SetNodeMetadata.
func (c *Client) Node() *corev3.Node { return c.node }

// SetNodeMetadata sets a field of the node's metadata. Servers learn of it by
// the next request of each stream, also those that are told of the node only
// once.
func (c *Client) SetNodeMetadata(key string, value *structpb.Value) {
	n := proto.CloneOf(c.node)
	if n.Metadata == nil {
		n.Metadata = &structpb.Struct{}
	}
	if n.Metadata.Fields == nil {
		n.Metadata.Fields = map[string]*structpb.Value{}
	}
	n.Metadata.Fields[key] = value
	c.node = n
}

// describe is the node with what it says of weir itself.
func describe(n *corev3.Node) *corev3.Node {
	if n == nil {
		n = &corev3.Node{}
	}
	n = proto.CloneOf(n)
	n.UserAgentName = "weir"
	n.UserAgentVersionType = &corev3.Node_UserAgentVersion{UserAgentVersion: buildinfo.Version()}
	return n
}

// Close ends all subscriptions and streams. No callback is called afterwards.
func (c *Client) Close() {
	if c.closed {
		return
	}
	c.closed = true
	c.cancel()
	for _, col := range c.collections {
		for _, s := range col.subs {
			s.closed = true
			s.stopTimer()
		}
	}
	c.files.close()
	c.running.Wait()
}

// Pause holds back the requests for some types until resume is called, so that
// many subscriptions become one request: pause EndpointType while a CDS update
// is applied. Pauses nest.
func (c *Client) Pause(typeURLs ...string) (resume func()) {
	for _, t := range typeURLs {
		c.paused[t]++
	}
	return sync.OnceFunc(func() {
		for _, t := range typeURLs {
			if c.paused[t]--; c.paused[t] > 0 {
				continue
			}
			delete(c.paused, t)
			for _, s := range c.streams {
				s.resume(t)
			}
		}
	})
}

// checkNode refuses a node that a management server could not tell apart.
func (c *Client) checkNode(path field.Path) error {
	if c.node.Id == "" || c.node.Cluster == "" {
		return path.Wrap(errors.New("node 'id' and 'cluster' are required: set them in 'node' or by --service-node and --service-cluster"))
	}
	return nil
}
