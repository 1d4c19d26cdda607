package server

import (
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	internallistenerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/bootstrap/internal_listener/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/xds/protos"
)

// supported refuses what weir does not do of a bootstrap.
func supported(b *bootstrapv3.Bootstrap) error {
	if err := field.Only("", b,
		"admin",
		"application_log_config",
		"bootstrap_extensions",
		"cluster_manager",
		"default_regex_engine",
		"dns_resolution_config",
		// Statistics cost next to nothing before they are used, so there is
		// nothing to defer.
		"deferred_stat_options",
		"dynamic_resources",
		// How long Envoy keeps gRPC clients that nobody uses; weir's go with
		// those who use them.
		"grpc_async_client_manager_config",
		"hds_config",
		// Headers that Envoy finds faster.
		"inline_headers",
		"layered_runtime",
		// For tcmalloc.
		"memory_allocator_manager",
		"node",
		"node_context_params",
		"overload_manager",
		"static_resources",
		"stats_config",
		"stats_eviction_interval",
		"stats_flush_interval",
		"stats_flush_on_admin",
		"stats_server_version_override",
		"stats_sinks",
		"tracing",
		"typed_dns_resolver_config",
		"use_tcp_for_dns_lookups",
		"watchdog",
		"watchdogs",
	); err != nil {
		return err
	}
	for _, check := range []error{
		field.Only("static_resources", b.GetStaticResources(), "listeners", "clusters", "secrets"),
		field.Only("dynamic_resources", b.GetDynamicResources(), "lds_config", "cds_config", "ads_config"),
		// enable_deferred_cluster_creation: a worker makes a cluster's pools
		// when it first uses them.
		field.Only("cluster_manager", b.GetClusterManager(), "local_cluster_name", "enable_deferred_cluster_creation", "outlier_detection", "load_stats_config", "upstream_bind_config"),
		field.Only("cluster_manager.outlier_detection", b.GetClusterManager().GetOutlierDetection(), "event_log_path"),
		field.Only("deferred_stat_options", b.GetDeferredStatOptions(), "enable_deferred_creation_stats"),
		regexEngine("default_regex_engine", b.GetDefaultRegexEngine()),
		bootstrapExtensions("bootstrap_extensions", b.GetBootstrapExtensions()),
		evictionInterval(b),
		flushes(b),
	} {
		if check != nil {
			return check
		}
	}
	return nil
}

// regexEngine refuses others than RE2, whose syntax regexp has.
func regexEngine(p field.Path, e *corev3.TypedExtensionConfig) error {
	const re2 = "envoy.extensions.regex_engines.v3.GoogleRE2"
	if e == nil || protos.TypeName(e.GetTypedConfig()) == re2 {
		return nil
	}
	return p.Dot("typed_config").Errorf("weir does not support the regex engine %q", e.GetName())
}

// bootstrapExtensions takes internal_listener, which says nothing but how much
// an internal listener buffers: those are refused where one is configured.
func bootstrapExtensions(p field.Path, list []*corev3.TypedExtensionConfig) error {
	const internal = "envoy.extensions.bootstrap.internal_listener.v3.InternalListener"
	for i, e := range list {
		p := p.Index(i).Dot("typed_config")
		if protos.TypeName(e.GetTypedConfig()) != internal {
			return p.Errorf("weir does not support the bootstrap extension %q (%s)", e.GetName(), e.GetTypedConfig().GetTypeUrl())
		}
		m, err := protos.UnpackAs[*internallistenerv3.InternalListener](p, e.GetTypedConfig())
		if err != nil {
			return err
		}
		if err := field.Only(p, m, "buffer_size_kb"); err != nil {
			return err
		}
	}
	return nil
}

// flushInterval is how often statistics go to the sinks and histograms end
// their interval.
func flushInterval(b *bootstrapv3.Bootstrap) time.Duration {
	if d := b.GetStatsFlushInterval(); d != nil {
		return d.AsDuration()
	}
	return 5 * time.Second
}

// flushes checks when statistics are flushed: at intervals, or when the admin
// interface is asked for them.
func flushes(b *bootstrapv3.Bootstrap) error {
	if b.GetStatsFlushOnAdmin() && b.GetStatsFlushInterval() != nil {
		return field.Path("stats_flush_on_admin").Errorf("only one of stats_flush_interval or stats_flush_on_admin should be set")
	}
	return nil
}

// evictionInterval checks stats_eviction_interval. It is for statistics that
// Envoy's extensions make without bound, of which weir has none.
func evictionInterval(b *bootstrapv3.Bootstrap) error {
	d := b.GetStatsEvictionInterval()
	if d != nil && d.AsDuration()%flushInterval(b) != 0 {
		return field.Path("stats_eviction_interval").Errorf("must be a multiple of stats_flush_interval")
	}
	return nil
}

// configureStats applies stats_config.
func (s *server) configureStats() error {
	c, err := stats.NewConfig("stats_config", s.bootstrap.GetStatsConfig())
	if err != nil {
		return err
	}
	s.stats.Configure(c)
	return nil
}
