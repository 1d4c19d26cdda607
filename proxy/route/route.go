package route

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher/tree"
	"github.com/weirproxy/weir/proxy/streaminfo"
	"github.com/weirproxy/weir/proxy/upstream/lb"
)

// Config is a compiled RouteConfiguration.
type Config struct {
	name   string
	hosts  hostTable
	vhosts []*VirtualHost

	mutations     mutations
	filterConfigs filterConfigs
	metadata      map[string]map[string]any

	vhostHeader          string // looked at instead of the host
	ignorePort           bool
	ignorePathParameters bool
	specificWins         bool // most_specific_header_mutations_wins
	internalOnlyHeaders  []string

	closers []interface{ Close() }
}

// Close ends what the configurations of filters hold, such as statistics. It
// is called on main when another configuration takes this one's place;
// requests under way may still use it.
func (c *Config) Close() {
	for _, x := range c.closers {
		x.Close()
	}
	c.closers = nil
}

// Name is the route configuration's name.
func (c *Config) Name() string { return c.name }

// InternalOnlyHeaders are removed from external requests, in lower case.
func (c *Config) InternalOnlyHeaders() []string { return c.internalOnlyHeaders }

// VirtualHost is a compiled virtual host.
type VirtualHost struct {
	config  *Config
	name    string
	domains []string
	entries []Entry
	index   *index              // nil when entries are few
	tree    *tree.Tree[[]Entry] // instead of entries when not nil

	mutations     mutations
	filterConfigs filterConfigs
	metadata      map[string]map[string]any
	tls           tlsRequirement
	redirect      Route // to https, when tls asks for it

	virtualClusters []VirtualCluster

	// RateLimits are for the filters that use them.
	RateLimits []RateLimit
	// IncludeRequestAttemptCount and IncludeAttemptCountInResponse ask for
	// x-envoy-attempt-count, IncludeIsTimeoutRetry for
	// x-envoy-is-timeout-retry.
	IncludeRequestAttemptCount    bool
	IncludeAttemptCountInResponse bool
	IncludeIsTimeoutRetry         bool
}

// Name is the virtual host's name.
func (v *VirtualHost) Name() string { return v.name }

type tlsRequirement uint8

const (
	tlsNone tlsRequirement = iota
	tlsExternalOnly
	tlsAll
)

// Entry is one compiled route of a virtual host. Exactly one of forward,
// redirect and direct is set, or none: a non-forwarding action.
type Entry struct {
	path       pathMatch
	conditions *conditions
	vhost      *VirtualHost
	name       string
	self       Route // the entry without a choice among weighted clusters

	forward  *Forward
	redirect *Redirect
	direct   *DirectResponse

	mutations     mutations
	filterConfigs filterConfigs
	extras        *extras
}

// extras are what few entries have.
type extras struct {
	metadata    map[string]map[string]any
	decorator   *Decorator
	tracing     *Tracing
	stats       *statsGroup
	bufferLimit *uint64
}

// Route is what a request gets: an entry and the cluster chosen of it. It
// implements http.Route.
type Route struct {
	entry   *Entry
	cluster *weightedCluster // nil when the entry does not choose
}

var _ http.Route = (*Route)(nil)

// Route is the request's route: nil when no virtual host has its host or no
// entry of the virtual host matches (Envoy answers both with 404,
// route_not_found). A virtual host that requires TLS gives a route with a
// redirect. random decides runtime fractions and weighted clusters: the
// stream's own number, the same at each call. h is read; its memory is used
// for what must be rewritten to be compared.
func (c *Config) Route(h *http.HeaderMap, info *streaminfo.Info, random uint64) *Route {
	v := c.VirtualHost(h)
	if v == nil {
		return nil
	}
	if h.Has(http.XForwardedProto) && h.Get(http.XForwardedProto) == "" {
		return nil // Envoy routes by it, and finds nothing
	}
	if info != nil {
		info.VirtualHostMetadata = v.metadata
	}
	if v.tls != tlsNone && v.needsTLS(h) {
		return &v.redirect
	}
	rq := request{headers: h, info: info, random: random}
	full := h.Get(http.Path)
	rq.path = pathOnly(full)
	if c.ignorePathParameters {
		rq.path = withoutParameters(h, rq.path)
	}
	rq.connect, rq.hasPath = connectAndPath(h)

	var e *Entry
	switch {
	case v.tree != nil:
		e = v.searchTree(&rq)
	case v.index != nil:
		e = v.index.find(v.entries, &rq)
	default:
		e = scan(v.entries, &rq)
	}
	if e == nil {
		return nil
	}
	if e.forward != nil && e.forward.weighted != nil {
		return e.forward.weighted.pick(h, info, random)
	}
	return &e.self
}

// searchTree is the first entry that matches of those that the virtual host's
// matcher leads to.
func (v *VirtualHost) searchTree(rq *request) *Entry {
	d := &tree.Data{RequestHeaders: rq.headers}
	if rq.info != nil {
		d.SetStream(rq.info)
	}
	entries, r := v.tree.Match(d)
	if r != tree.Matched {
		return nil
	}
	return scan(entries, rq)
}

// VirtualHost is the virtual host for the request's host; nil when there is
// none.
func (c *Config) VirtualHost(h *http.HeaderMap) *VirtualHost {
	if c.hosts.onlyAny() {
		return c.hosts.any
	}
	host, ok := h.Get(http.Authority), h.Has(http.Authority)
	if c.vhostHeader != "" {
		host, ok = h.GetName(c.vhostHeader)
	}
	if !ok {
		return nil
	}
	if c.ignorePort {
		host = withoutPort(host)
	}
	return c.hosts.find(lowerIn(h, host))
}

func (v *VirtualHost) needsTLS(h *http.HeaderMap) bool {
	if h.Get(http.XForwardedProto) == "https" {
		return false
	}
	return v.tls == tlsAll || h.Get(http.XEnvoyInternal) != "true"
}

// connectAndPath tells whether connect_matcher takes the request (CONNECT, or
// extended CONNECT for CONNECT-UDP) and whether the others can: a plain
// CONNECT has no path.
func connectAndPath(h *http.HeaderMap) (connect, hasPath bool) {
	hasPath = h.Has(http.Path)
	if h.Get(http.Method) != "CONNECT" {
		return false, hasPath
	}
	if !h.Has(http.Protocol) {
		return true, false
	}
	return h.Get(http.Protocol) == "connect-udp", hasPath
}

// RouteName implements http.Route.
func (r *Route) RouteName() string { return r.entry.name }

// VirtualHostName implements http.Route.
func (r *Route) VirtualHostName() string { return r.entry.vhost.name }

// VirtualHost is the route's virtual host.
func (r *Route) VirtualHost() *VirtualHost { return r.entry.vhost }

// Forward is what the router needs to send the request on; nil when the route
// does not.
func (r *Route) Forward() *Forward { return r.entry.forward }

// UpgradeAllowed tells whether the route allows an upgrade to a protocol, in
// lower case; known is false when it says nothing of it.
func (r *Route) UpgradeAllowed(kind string) (allowed, known bool) {
	if r.entry.forward == nil {
		return false, false
	}
	for i := range r.entry.forward.Upgrades {
		if u := &r.entry.forward.Upgrades[i]; u.Type == kind {
			return u.Enabled, true
		}
	}
	return false, false
}

// Redirect is the route's redirect, nil when it has none.
func (r *Route) Redirect() *Redirect { return r.entry.redirect }

// DirectResponse is the route's fixed answer, nil when it has none.
func (r *Route) DirectResponse() *DirectResponse { return r.entry.direct }

// Cluster is the name of the cluster that the request goes to; "" when a
// header was to name it and does not, and for routes that do not forward.
func (r *Route) Cluster(h *http.HeaderMap) string {
	if r.entry.forward == nil {
		return ""
	}
	name, header := r.entry.forward.cluster, r.entry.forward.clusterHeader
	if r.cluster != nil {
		name, header = r.cluster.name, r.cluster.header
	}
	if header == "" {
		return name
	}
	name, _ = h.GetName(header)
	return name
}

// MetadataMatch is the subset of endpoints asked for, the envoy.lb keys of
// metadata_match: the weighted cluster's added to the route's. nil: any.
func (r *Route) MetadataMatch() []lb.MetadataCriterion {
	if r.cluster != nil && r.cluster.metadataMatch != nil {
		return r.cluster.metadataMatch
	}
	return r.entry.forward.metadataMatch
}

// Metadata is the route's configured metadata by namespace.
func (r *Route) Metadata() map[string]map[string]any { return r.entry.more().metadata }

// VirtualHostMetadata is the virtual host's.
func (r *Route) VirtualHostMetadata() map[string]map[string]any { return r.entry.vhost.metadata }

// Decorator names the operation in traces; nil when there is none.
func (r *Route) Decorator() *Decorator { return r.entry.more().decorator }

// Tracing overrides the connection manager's sampling; nil: it does not.
func (r *Route) Tracing() *Tracing { return r.entry.more().tracing }

// BufferLimit is the request_body_buffer_limit in bytes.
func (r *Route) BufferLimit() (n uint64, ok bool) {
	if l := r.entry.more().bufferLimit; l != nil {
		return *l, true
	}
	return 0, false
}

var noExtras extras

func (e *Entry) more() *extras {
	if e.extras == nil {
		return &noExtras
	}
	return e.extras
}
