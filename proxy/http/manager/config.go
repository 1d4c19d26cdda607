package manager

import (
	"log/slog"
	"net/netip"
	"time"

	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/accesslog"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/http/filterchain"
	"github.com/weirproxy/weir/proxy/http/http1"
	"github.com/weirproxy/weir/proxy/http/http2"
	"github.com/weirproxy/weir/proxy/matcher/tree"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/overload"
	"github.com/weirproxy/weir/proxy/route"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/tracing"
)

// Config is an HttpConnectionManager compiled. It is immutable but for its
// workers' own state.
type Config struct {
	filters     []filterchain.Filter
	filtersVary bool // a filter can be off for a route
	routes      RouteProvider
	scoped      ScopedRoutes // routes, when they differ by request
	cluster     ClusterInfo  // may be nil
	accessLogs  []accesslog.Logger
	http1       http1.Settings
	http2       http2.Settings
	codec       codecType
	workers     []*worker
	groups      groups
	listener    string
	// Metadata, by namespace.
	listenerMetadata, chainMetadata map[string]map[string]any
	chain                           string
	log                             *slog.Logger
	drain                           Drain
	tracing                         *tracing.Config // nil without one
	overload                        *overload.Manager

	idleTimeout       time.Duration // of connections; 0: none
	maxConnDuration   time.Duration
	durationJitter    float64 // of it, added at random
	drainTimeout      time.Duration
	drainJitter       float64
	streamIdleTimeout time.Duration
	requestTimeout    time.Duration
	headersTimeout    time.Duration
	maxStreamDuration time.Duration
	closeDelay        uint32 // delayed_close_timeout in milliseconds

	maxRequestsPerConnection uint32
	http1SafeMaxDuration     bool

	serverName         string
	serverHeader       serverHeader
	via                string
	userAgent          string
	nodeID             string
	node               map[string]any
	direction          uint8
	scheme             string // instead of the client's
	schemeFromUpstream bool
	upgrades           map[string]upgrade // by type, lower case
	localReplies       *localReplies
	proxyStatus        *proxyStatus // nil: there is no such header

	detectors      []detector
	earlyMutations []*route.Mutations
	accessLogMoments

	useRemoteAddress    bool
	trustedHops         uint32
	skipXFFAppend       bool
	appendForwardedPort bool
	schemeByPort        map[uint16]string // forward_proto_config
	appendLocalOverload bool
	xfcc                *xfccPolicy
	xfccTree            *tree.Tree[*xfccPolicy] // chooses another by request; nil: none
	internal            []netip.Prefix
	internalPipes       bool // clients on Unix sockets are internal
	localAddress        netip.Addr

	generateRequestID         bool
	preserveExternalRequestID bool
	alwaysSetRequestID        bool
	proxy100Continue          bool

	normalizePath     bool
	mergeSlashes      bool
	slashes           slashAction
	stripAnyPort      bool
	stripMatchingPort bool
	stripTrailingDot  bool
}

// Drain tells whether connections should end when they next can.
type Drain interface {
	DrainClose(l *network.Loop) bool
}

// Options are what a Config needs of the server.
type Options struct {
	// What its filters may use, and it does as well. The StatPrefix is the
	// manager's to fill in; LocalAddress is added to X-Forwarded-For for
	// loopback clients.
	http.FactoryContext
	ListenerPrefix string // "listener.127.0.0.1_80."
	Listener       string // its name
	Chain          string // the filter chain's
	// ListenerMetadata and ChainMetadata are the listener's and the chain's, by namespace.
	ListenerMetadata, ChainMetadata map[string]map[string]any

	Filter     http.FilterLookup
	Routes     RouteFactory
	Cluster    ClusterInfo // may be nil
	AccessLogs accesslog.Options
	Node       map[string]any // its fields
	Direction  uint8          // the listener's traffic_direction
	Drain      Drain
	Log        *slog.Logger
	Tracing    tracing.Options   // its StatPrefix is the manager's
	Overload   *overload.Manager // nil: never overloaded
}

// Compile turns an HttpConnectionManager at path p into a Config.
func Compile(p field.Path, m *hcmv3.HttpConnectionManager, o Options) (*Config, error) {
	if err := supported(p, m); err != nil {
		return nil, err
	}
	if m.GetStripAnyHostPort() && m.StripMatchingHostPort {
		return nil, p.Errorf("only one of strip_matching_host_port and strip_any_host_port can be set")
	}
	if err := checkDurations(p, m); err != nil {
		return nil, err
	}
	c := &Config{
		listener: o.Listener, chain: o.Chain, cluster: o.Cluster, listenerMetadata: o.ListenerMetadata, chainMetadata: o.ChainMetadata, overload: o.Overload, log: o.Log, drain: o.Drain, nodeID: o.NodeID, node: o.Node, direction: o.Direction, localAddress: o.LocalAddress,
		idleTimeout:       duration(m.GetCommonHttpProtocolOptions().GetIdleTimeout(), time.Hour),
		maxConnDuration:   duration(m.GetCommonHttpProtocolOptions().GetMaxConnectionDuration(), 0),
		maxStreamDuration: duration(m.GetCommonHttpProtocolOptions().GetMaxStreamDuration(), 0),
		drainTimeout:      duration(m.DrainTimeout, 5*time.Second),
		streamIdleTimeout: duration(m.StreamIdleTimeout, 5*time.Minute),
		requestTimeout:    duration(m.RequestTimeout, 0),
		// Envoy has no default here; an unfinished head must not be held
		// for ever.
		headersTimeout:            duration(m.RequestHeadersTimeout, http.DefaultHeadersTimeout),
		closeDelay:                uint32(duration(m.DelayedCloseTimeout, time.Second) / time.Millisecond),
		maxRequestsPerConnection:  m.GetCommonHttpProtocolOptions().GetMaxRequestsPerConnection().GetValue(),
		http1SafeMaxDuration:      m.Http1SafeMaxConnectionDuration,
		serverName:                m.ServerName,
		via:                       m.Via,
		scheme:                    m.GetSchemeHeaderTransformation().GetSchemeToOverwrite(),
		schemeFromUpstream:        m.GetSchemeHeaderTransformation().GetMatchUpstream(),
		useRemoteAddress:          m.GetUseRemoteAddress().GetValue(),
		trustedHops:               m.XffNumTrustedHops,
		skipXFFAppend:             m.SkipXffAppend,
		appendLocalOverload:       m.AppendLocalOverload,
		drainJitter:               m.GetDrainTimeoutJitter().GetValue() / 100,
		durationJitter:            m.GetCommonHttpProtocolOptions().GetMaxConnectionDurationJitter().GetValue() / 100,
		appendForwardedPort:       m.AppendXForwardedPort,
		generateRequestID:         m.GenerateRequestId == nil || m.GenerateRequestId.Value,
		preserveExternalRequestID: m.PreserveExternalRequestId,
		alwaysSetRequestID:        m.AlwaysSetRequestIdInResponse,
		proxy100Continue:          m.Proxy_100Continue,
		normalizePath:             m.GetNormalizePath().GetValue(),
		mergeSlashes:              m.MergeSlashes,
		stripAnyPort:              m.GetStripAnyHostPort(),
		stripMatchingPort:         m.StripMatchingHostPort,
		stripTrailingDot:          m.StripTrailingHostDot,
	}
	if c.serverName == "" {
		c.serverName = "weir"
	}
	if m.GetAddUserAgent().GetValue() {
		c.userAgent = o.ServiceCluster
	}
	switch m.ServerHeaderTransformation {
	case hcmv3.HttpConnectionManager_APPEND_IF_ABSENT:
		c.serverHeader = serverAppendIfAbsent
	case hcmv3.HttpConnectionManager_PASS_THROUGH:
		c.serverHeader = serverPassThrough
	}
	switch m.PathWithEscapedSlashesAction {
	case hcmv3.HttpConnectionManager_REJECT_REQUEST:
		c.slashes = slashesReject
	case hcmv3.HttpConnectionManager_UNESCAPE_AND_REDIRECT:
		c.slashes = slashesUnescapeAndRedirect
	case hcmv3.HttpConnectionManager_UNESCAPE_AND_FORWARD:
		c.slashes = slashesUnescapeAndForward
	}
	for _, build := range []func() error{
		func() error { return c.clientCert(p, m, o) },
		func() error { return c.buildHTTP1(p, m) },
		func() error { return c.buildHTTP2(p, m) },
		func() error { return c.buildForwardProto(p, m.ForwardProtoConfig) },
		func() error { return c.buildProxyStatus(p, m.ProxyStatusConfig) },
		func() error { return c.buildInternal(p, m.InternalAddressConfig) },
		func() error { return c.buildDetection(p, m) },
		func() error { return c.buildEarlyMutations(p, m) },
		func() error { return c.buildLogMoments(p, m) },
		func() error { return c.buildFilters(p, m, o) }, // and those of upgrades
		func() error { return c.buildTracing(p, m, o) },
		func() error { return c.buildLocalReplies(p, m.LocalReplyConfig, o) },
		func() (err error) {
			c.accessLogs, err = accesslog.Compile(p.Dot("access_log"), m.AccessLog, o.AccessLogs)
			return err
		},
		func() (err error) {
			c.routes, err = o.Routes.Provider(p, m)
			c.scoped, _ = c.routes.(ScopedRoutes)
			return err
		},
	} {
		if err := build(); err != nil {
			c.closeFilters()
			return nil, err
		}
	}
	c.buildWorkers(m.StatPrefix, o)
	return c, nil
}

// supported refuses what weir does not do.
func supported(p field.Path, m *hcmv3.HttpConnectionManager) error {
	if err := field.Only(p, m, "codec_type", "stat_prefix", "rds", "route_config", "scoped_routes", "http_filters", "add_user_agent",
		"common_http_protocol_options", "http_protocol_options", "http2_protocol_options", "server_name", "server_header_transformation",
		"scheme_header_transformation", "max_request_headers_kb", "stream_idle_timeout", "request_timeout",
		"request_headers_timeout", "drain_timeout", "delayed_close_timeout", "access_log", "use_remote_address",
		"xff_num_trusted_hops", "internal_address_config", "skip_xff_append", "via", "generate_request_id",
		"preserve_external_request_id", "always_set_request_id_in_response", "forward_client_cert_details", "forward_client_cert_matcher",
		"set_current_client_cert_details", "proxy_100_continue", "upgrade_configs", "normalize_path", "merge_slashes",
		"path_with_escaped_slashes_action", "local_reply_config", "strip_matching_host_port", "strip_any_host_port",
		"strip_trailing_host_dot", "append_x_forwarded_port", "stream_error_on_invalid_http_message",
		"request_id_extension", "tracing", "http1_safe_max_connection_duration", "stream_flush_timeout",
		"original_ip_detection_extensions", "early_header_mutation_extensions", "access_log_options", "access_log_flush_interval",
		"flush_access_log_on_new_request", "proxy_status_config", "append_local_overload", "forward_proto_config",
		"drain_timeout_jitter"); err != nil {
		return err
	}
	if s := m.GetSchemeHeaderTransformation(); s != nil {
		if err := field.Only(p.Dot("scheme_header_transformation"), s, "scheme_to_overwrite", "match_upstream"); err != nil {
			return err
		}
	}
	return field.Only(p.Dot("common_http_protocol_options"), m.CommonHttpProtocolOptions, "idle_timeout", "max_connection_duration",
		"max_connection_duration_jitter", "max_headers_count", "max_stream_duration", "headers_with_underscores_action", "max_requests_per_connection")
}

func duration(d *durationpb.Duration, otherwise time.Duration) time.Duration {
	if d == nil {
		return otherwise
	}
	return d.AsDuration()
}

func (c *Config) buildInternal(p field.Path, i *hcmv3.HttpConnectionManager_InternalAddressConfig) error {
	if i == nil {
		return nil // as Envoy since 1.33: no address is internal by default
	}
	p = p.Dot("internal_address_config")
	if err := field.Only(p, i, "cidr_ranges", "unix_sockets"); err != nil {
		return err
	}
	c.internalPipes = i.UnixSockets
	if len(i.CidrRanges) == 0 {
		c.internal = privateNetworks
		return nil
	}
	var err error
	c.internal, err = prefixes(p.Dot("cidr_ranges"), i.CidrRanges)
	return err
}

// privateNetworks are internal to an internal_address_config without ranges:
// RFC 1918, RFC 4193 and this machine.
var privateNetworks = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("::1/128"),
}

func (c *Config) isInternal(a netip.Addr) bool {
	return within(c.internal, a)
}

func (c *Config) buildWorkers(prefix string, o Options) {
	group := stats.NewGroup[Stats](o.Stats, stats.Scope{Prefix: "http." + prefix + "."})
	listener := stats.NewGroup[ListenerStats](o.Stats, stats.Scope{Prefix: o.ListenerPrefix + "http." + prefix + "."})
	c.groups = groups{
		manager: group, listener: listener,
		http1: stats.NewGroup[http1Stats](o.Stats, stats.Scope{Prefix: "http1."}),
		http2: stats.NewGroup[http2.Stats](o.Stats, stats.Scope{Prefix: "http2.", Lazy: true}),
	}
	if c.tracing != nil {
		c.groups.tracing = c.tracing.Stats()
	} else { // as in Envoy the statistics are there all the same
		c.groups.tracing = tracing.NewStats(o.Stats, prefix)
	}
	c.workers = make([]*worker, len(o.Loops))
	for i, l := range o.Loops {
		c.workers[i] = &worker{index: i, loop: l, http1: c.http1, http2: c.http2}
	}
}

// Close ends the manager's statistics, and what its workers hold for new
// connections.
func (c *Config) Close() {
	for _, w := range c.workers {
		w.loop.Post(w.retire)
	}
	c.groups.manager.Close()
	c.groups.listener.Close()
	c.groups.http1.Close()
	c.groups.http2.Close()
	if c.tracing != nil {
		c.tracing.Close()
	} else {
		c.groups.tracing.Close()
	}
	accesslog.Close(c.accessLogs)
	c.closeFilters()
}

func (c *Config) closeFilters() {
	filterchain.Close(c.filters)
	for _, u := range c.upgrades {
		filterchain.Close(u.filters)
	}
}

// Filter is the network filter factory.
func (c *Config) Filter(cb *network.ReadCallbacks) network.ReadFilter {
	w := c.workers[cb.Connection().Loop().Worker]
	if w.stats == nil {
		w.open(c)
	}
	return newConnManager(w, cb)
}
