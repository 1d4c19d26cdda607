package upstream

//lint:file-ignore SA1019 control planes still send the deprecated fields, and Envoy takes them

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/proxy/upstream/dnscache"
	"github.com/weirproxy/weir/proxy/upstream/health"
	"github.com/weirproxy/weir/proxy/upstream/lb"
	"github.com/weirproxy/weir/proxy/upstream/outlier"
)

// Defaults of Envoy.
const (
	defaultConnectTimeout = 5 * time.Second
	defaultIdleTimeout    = time.Hour
	defaultPanicThreshold = 50
)

// kind is how a cluster learns its hosts.
type kind uint8

const (
	static kind = iota
	strictDNS
	eds
	originalDst
	aggregate
	forward
)

// provided tells whether clusters of the kind pick hosts in their own way.
func (k kind) provided() bool { return k == originalDst || k == aggregate || k == forward }

var kindNames = [...]string{static: "STATIC", strictDNS: "STRICT_DNS", eds: "EDS", originalDst: "ORIGINAL_DST", aggregate: "aggregate", forward: "dynamic_forward_proxy"}

// config is a compiled cluster configuration.
type config struct {
	info           *cluster.Info
	policy         lb.Policy // nil: the cluster's type brings its own
	kind           kind
	panicThreshold float64
	raw            []byte // the proto, to tell changes by and for /config_dump

	health     []*health.Config // none: no active health checks
	outlier    *outlier.Config  // nil: no outlier detection
	assignment *assignment      // static and strictDNS
	dns        *dnsConfig
	eds        *edsConfig
	original   *originalConfig
	members    []string        // aggregate
	cache      *dnscache.Cache // forward

	warm             warming
	transports       socketMatches
	track            [cluster.NumPriorities]bool // track_remaining
	waitForWarm      bool
	trackHosts       bool // per_endpoint_stats
	trackSizes       bool // request_response_sizes
	trackBudgets     bool // timeout_budgets
	closeOnSetChange bool
	mergeWindow      time.Duration // see there
	removeAtOnce     bool          // ignore_health_on_host_removal
}

type edsConfig struct {
	service string
	given   string               // service_name
	file    bool                 // the source is a file
	source  *corev3.ConfigSource // passed on to who subscribes
}

// clusterFields are the fields of a cluster that weir reads.
var clusterFields = []string{
	"name", "alt_stat_name", "type", "cluster_type", "eds_cluster_config", "connect_timeout", "per_connection_buffer_limit_bytes",
	"lb_policy", "load_assignment", "per_connection_buffer_high_watermark_timeout", "max_requests_per_connection", "circuit_breakers", "common_http_protocol_options",
	"http_protocol_options", "http2_protocol_options", "protocol_selection", "upstream_http_protocol_options", "typed_extension_protocol_options", "dns_refresh_rate", "dns_jitter", "dns_failure_refresh_rate",
	"respect_dns_ttl", "dns_lookup_family", "dns_resolvers", "use_tcp_for_dns_lookups", "dns_resolution_config", "typed_dns_resolver_config",
	"wait_for_warm_on_init", "cleanup_interval", "upstream_bind_config", "common_lb_config", "round_robin_lb_config",
	"least_request_lb_config", "ring_hash_lb_config", "maglev_lb_config", "lb_subset_config", "original_dst_lb_config", "transport_socket", "transport_socket_matches", "metadata", "upstream_connection_options",
	"close_connections_on_host_health_failure", "connection_pool_per_downstream_connection", "ignore_health_on_host_removal", "load_balancing_policy", "outlier_detection", "health_checks", "track_cluster_stats", "preconnect_policy", "lrs_server", "filters", "track_timeout_budgets",
}

// AddOrUpdate takes a cluster's configuration, found at path: a new one, or
// one that replaces another of the same name. changed is false when it is the
// one that is there. Workers see the cluster once it is warm; until then they
// keep the old one. static marks clusters of the bootstrap, which xDS neither
// replaces nor removes.
func (m *Manager) AddOrUpdate(path field.Path, c *clusterv3.Cluster, version string, static bool) (changed bool, err error) {
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(c)
	if err != nil {
		return false, path.Wrap(err)
	}
	if old := m.newest(c.GetName()); old != nil {
		switch {
		case static:
			return false, path.Dot("name").Errorf("duplicate cluster %q", c.GetName())
		case old.static || string(old.cfg.raw) == string(raw):
			return false, nil
		}
		m.stats.ClusterModified.Inc()
	} else {
		m.stats.ClusterAdded.Inc() // or tried to, as Envoy counts
	}
	cfg, err := m.compile(path, c)
	if err != nil {
		return false, err
	}
	cfg.raw = raw
	cfg.info.AddedViaAPI = !static
	if err := m.add(cfg, version, static); err != nil {
		cfg.warm.close()
		cfg.closeFilters()
		return false, path.Wrap(err)
	}
	return true, nil
}

// Check compiles a cluster's configuration without using it.
func (m *Manager) Check(path field.Path, c *clusterv3.Cluster) error {
	cfg, err := m.compile(path, c)
	if err == nil {
		cfg.warm.close()
		cfg.closeFilters()
	}
	return err
}

func (m *Manager) compile(p field.Path, c *clusterv3.Cluster) (_ *config, err error) {
	if c.GetName() == "" {
		return nil, p.Dot("name").Errorf("a cluster needs a name")
	}
	if err := field.Only(p, c, clusterFields...); err != nil {
		return nil, err
	}
	if d := c.GetPerConnectionBufferHighWatermarkTimeout().AsDuration(); d != 0 {
		return nil, p.Dot("per_connection_buffer_high_watermark_timeout").Errorf("weir waits for ever: 0s, not %v", d)
	}
	cfg := &config{panicThreshold: defaultPanicThreshold, waitForWarm: true}
	defer func() {
		if err != nil {
			cfg.warm.close()
			cfg.closeFilters()
		}
	}()
	info := &cluster.Info{
		Name: c.GetName(), StatName: c.GetName(), ConnectTimeout: defaultConnectTimeout, BufferLimit: network.DefaultBufferLimit,
		IdleTimeout: defaultIdleTimeout,
	}
	cfg.info = info
	if alt := c.GetAltStatName(); alt != "" {
		info.StatName = alt
	}
	if b := c.GetPerConnectionBufferLimitBytes(); b != nil {
		info.BufferLimit = b.GetValue()
	}
	if w := c.GetWaitForWarmOnInit(); w != nil {
		cfg.waitForWarm = w.GetValue()
	}
	track := c.GetTrackClusterStats()
	cfg.trackHosts, cfg.trackSizes, cfg.trackBudgets = track.GetPerEndpointStats(), track.GetRequestResponseSizes(), track.GetTimeoutBudgets() || c.GetTrackTimeoutBudgets()
	cfg.removeAtOnce = c.GetIgnoreHealthOnHostRemoval()
	info.CloseOnHealthFailure = c.GetCloseConnectionsOnHostHealthFailure()
	info.PoolPerDownstream = c.GetConnectionPoolPerDownstreamConnection()
	info.MaxRequestsPerConnection = c.GetMaxRequestsPerConnection().GetValue()
	// With "self" a client may report loads where it is configured from. Envoy
	// does so only where the bootstrap's load_stats_config says.
	err = firstError(
		field.Only(p.Dot("lrs_server"), c.GetLrsServer(), "self", "resource_api_version"),
		positive(p.Dot("connect_timeout"), c.GetConnectTimeout(), &info.ConnectTimeout),
		field.Only(p.Dot("track_cluster_stats"), track, "per_endpoint_stats", "request_response_sizes", "timeout_budgets"),
		m.transportSockets(p, c, cfg),
		m.networkFilters(p.Dot("filters"), c.GetFilters(), cfg),
		preconnect(p.Dot("preconnect_policy"), c.GetPreconnectPolicy(), &info.Preconnect),
		m.httpOptions(p, c, info),
		m.socketOptions(p, c, info),
		circuitBreakers(p.Dot("circuit_breakers"), c.GetCircuitBreakers(), m.o.Runtime, cfg),
		commonLB(p.Dot("common_lb_config"), c.GetCommonLbConfig(), cfg),
		metadata(p.Dot("metadata"), c.GetMetadata(), &info.Metadata),
		m.discoveryConfig(p, c, cfg),
	)
	if err != nil {
		return nil, err
	}
	if cfg.policy, err = lb.FromConfig(p, c, m.o.Runtime); err != nil {
		return nil, err
	}
	if cfg.health, err = health.FromConfig(p.Dot("health_checks"), c.GetHealthChecks(), m.regexes); err != nil {
		return nil, err
	}
	maintenance, runtime := "upstream.maintenance_mode."+c.GetName(), m.o.Runtime
	cfg.info.Maintained = func() bool {
		share := runtime.Uint(maintenance, 0)
		return share > 0 && rand.Uint64N(100) < share
	}
	for _, h := range cfg.health {
		if h.GRPC != nil && cfg.info.Protocol == cluster.HTTP1 {
			return nil, p.Dot("health_checks").Errorf("gRPC health checks need a cluster that speaks HTTP/2")
		}
		h.IgnoreNew = c.GetCommonLbConfig().GetIgnoreNewHostsUntilFirstHc()
	}
	if cfg.outlier, err = outlier.FromConfig(p.Dot("outlier_detection"), c.GetOutlierDetection()); err != nil {
		return nil, err
	}
	if cfg.trackHosts && cfg.kind.provided() {
		return nil, p.Dot("track_cluster_stats").Dot("per_endpoint_stats").Errorf("weir does not support it in a cluster of type %s", kindNames[cfg.kind])
	}
	if provided := cfg.policy == nil; provided != cfg.kind.provided() {
		return nil, p.Dot("lb_policy").Errorf("a cluster of type %s and this load balancing policy do not go together: CLUSTER_PROVIDED is for those that pick hosts in their own way, and their only one", kindNames[cfg.kind])
	}
	if a, ok := cfg.policy.(lb.ActiveSharer); ok {
		info.ShareActive = a.NeedsActive()
	}
	return cfg, nil
}

func (m *Manager) discoveryConfig(p field.Path, c *clusterv3.Cluster, cfg *config) (err error) {
	t := c.GetType()
	if ct := c.GetClusterType(); ct != nil {
		var ok bool
		if t, ok = typesByName[ct.GetName()]; !ok || ct.GetTypedConfig() != nil {
			return m.customType(p, c, ct, cfg)
		}
	}
	switch t {
	case clusterv3.Cluster_STATIC:
		cfg.kind = static
	case clusterv3.Cluster_STRICT_DNS, clusterv3.Cluster_LOGICAL_DNS:
		cfg.kind = strictDNS
		if cfg.dns, err = dnsFields(p, c); err == nil {
			cfg.dns.logical = t == clusterv3.Cluster_LOGICAL_DNS
		}
	case clusterv3.Cluster_EDS:
		cfg.kind = eds
		if m.o.Endpoints == nil {
			return p.Dot("type").Errorf("EDS is not possible here: nothing subscribes to endpoints")
		}
		cfg.eds, err = edsFields(p, c)
	case clusterv3.Cluster_ORIGINAL_DST:
		cfg.kind = originalDst
		cfg.original, err = originalFields(p, c)
	default:
		return p.Dot("type").Errorf("weir does not support clusters of type %v", t)
	}
	if err != nil {
		return err
	}
	if c.GetEdsClusterConfig() != nil && cfg.kind != eds {
		return p.Dot("eds_cluster_config").Errorf("set in a cluster of type %s", kindNames[cfg.kind])
	}
	if err := loadAssignment(p, c, cfg); err != nil || cfg.dns == nil {
		return err
	}
	return cfg.checkLogical(p)
}

// loadAssignment compiles the endpoints that the cluster itself names.
func loadAssignment(p field.Path, c *clusterv3.Cluster, cfg *config) (err error) {
	la := c.GetLoadAssignment()
	switch {
	case cfg.kind == eds: // Envoy does not look at it
	case cfg.kind.provided():
		if la != nil {
			return p.Dot("load_assignment").Errorf("set in a cluster of type %s, which has its endpoints from elsewhere", kindNames[cfg.kind])
		}
	default:
		cfg.assignment, err = compileAssignment(p.Dot("load_assignment"), la, cfg.kind == strictDNS)
	}
	return err
}

func edsFields(p field.Path, c *clusterv3.Cluster) (*edsConfig, error) {
	p = p.Dot("eds_cluster_config")
	e := c.GetEdsClusterConfig()
	if e == nil {
		return nil, p.Errorf("missing: a cluster of type EDS says there where its endpoints come from")
	}
	if err := field.Only(p, e, "eds_config", "service_name"); err != nil {
		return nil, err
	}
	if e.GetEdsConfig() == nil {
		return nil, p.Dot("eds_config").Errorf("missing")
	}
	out := &edsConfig{service: e.GetServiceName(), given: e.GetServiceName(), source: e.GetEdsConfig()}
	out.file = e.GetEdsConfig().GetPathConfigSource() != nil || e.GetEdsConfig().GetPath() != ""
	if out.service == "" {
		out.service = c.GetName()
	}
	return out, nil
}

func commonLB(p field.Path, c *clusterv3.Cluster_CommonLbConfig, cfg *config) error {
	if err := field.Only(p, c, "healthy_panic_threshold", "update_merge_window", "zone_aware_lb_config", "locality_weighted_lb_config", "consistent_hashing_lb_config", "ignore_new_hosts_until_first_hc", "override_host_status", "close_connections_on_host_set_change"); err != nil {
		return err
	}
	if t := c.GetHealthyPanicThreshold(); t != nil {
		cfg.panicThreshold = math.Round(t.GetValue())
	}
	cfg.info.Override = overrideStatus(c.GetOverrideHostStatus())
	cfg.mergeWindow = time.Second
	if w := c.GetUpdateMergeWindow(); w != nil {
		if cfg.mergeWindow = w.AsDuration(); cfg.mergeWindow < 0 {
			return p.Dot("update_merge_window").Errorf("%v is less than 0", cfg.mergeWindow)
		}
	}
	cfg.closeOnSetChange = c.GetCloseConnectionsOnHostSetChange()
	return nil
}

// overrideStatus is, when nothing is configured, every state but the bad ones.
func overrideStatus(s *corev3.HealthStatusSet) cluster.OverrideStatus {
	if s == nil {
		return cluster.OverrideStatus{Healthy: true, Degraded: true}
	}
	has := func(want ...corev3.HealthStatus) bool {
		return slices.ContainsFunc(s.GetStatuses(), func(x corev3.HealthStatus) bool { return slices.Contains(want, x) })
	}
	return cluster.OverrideStatus{
		Healthy: has(corev3.HealthStatus_UNKNOWN, corev3.HealthStatus_HEALTHY), Degraded: has(corev3.HealthStatus_DEGRADED),
		Unhealthy: has(corev3.HealthStatus_UNHEALTHY, corev3.HealthStatus_TIMEOUT), Draining: has(corev3.HealthStatus_DRAINING),
	}
}

func metadata(p field.Path, m *corev3.Metadata, out *cluster.Metadata) error {
	if len(m.GetFilterMetadata()) > 0 {
		*out = make(cluster.Metadata, len(m.GetFilterMetadata()))
		for ns, s := range m.GetFilterMetadata() {
			(*out)[ns] = s.AsMap()
		}
	}
	return field.Only(p, m, "filter_metadata")
}

// positive puts a duration that is set into out.
func positive(p field.Path, d *durationpb.Duration, out *time.Duration) error {
	if d == nil {
		return nil
	}
	if *out = d.AsDuration(); *out <= 0 {
		return p.Errorf("%v is not greater than 0", *out)
	}
	return nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
