package upstream

//lint:file-ignore SA1019 control planes still send the deprecated fields, and Envoy takes them

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	forwardv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/dynamic_forward_proxy/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/proto"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/http/http1"
	"github.com/weirproxy/weir/proxy/http/http2"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/xds/protos"
)

const httpOptionsName = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

// PolicyCompiler compiles the policies that a cluster has of its own for its
// requests, nil for none: they become cluster.Info.HTTPPolicies.
type PolicyCompiler func(path field.Path, o *httpv3.HttpProtocolOptions) (any, error)

// FilterCompiler compiles the HTTP filters of the cluster with this prefix of
// statistics, nil for none: they become cluster.Info.HTTPFilters. What has a
// method Close is closed when the cluster goes.
type FilterCompiler func(path field.Path, statPrefix string, o *httpv3.HttpProtocolOptions) (any, error)

// httpOptions compiles how HTTP is spoken: the extension's options, or else
// the deprecated fields of the cluster.
func (m *Manager) httpOptions(p field.Path, c *clusterv3.Cluster, info *cluster.Info) error {
	ext := c.GetTypedExtensionProtocolOptions()
	p2 := p.Dot("typed_extension_protocol_options")
	for name := range ext {
		if name != httpOptionsName {
			return p2.Key(name).Errorf("weir does not support these protocol options; known are %s", httpOptionsName)
		}
	}
	a := ext[httpOptionsName]
	if a == nil {
		return legacyOptions(p, c, info)
	}
	p = p2.Key(httpOptionsName)
	o, err := protos.UnpackAs[*httpv3.HttpProtocolOptions](p, a)
	if err != nil {
		return err
	}
	if c.GetMaxRequestsPerConnection() != nil && o.GetCommonHttpProtocolOptions().GetMaxRequestsPerConnection() != nil {
		return p.Dot("common_http_protocol_options").Dot("max_requests_per_connection").Errorf("set in the cluster, too")
	}
	if err := firstError(
		field.Only(p, o, "common_http_protocol_options", "upstream_http_protocol_options", "explicit_http_config", "use_downstream_protocol_config", "auto_config",
			"request_mirror_policies", "hash_policy", "retry_policy", "http_filters"),
		commonHTTP(p.Dot("common_http_protocol_options"), o.GetCommonHttpProtocolOptions(), info),
		autoSNI(p.Dot("upstream_http_protocol_options"), o.GetUpstreamHttpProtocolOptions(), info),
	); err != nil {
		return err
	}
	if m.o.HTTPPolicies != nil { // but in tests
		if info.HTTPPolicies, err = m.o.HTTPPolicies(p, o); err != nil {
			return err
		}
	}
	if m.o.HTTPFilters != nil && len(o.GetHttpFilters()) > 0 {
		if info.HTTPFilters, err = m.o.HTTPFilters(p.Dot("http_filters"), info.StatScope().Prefix, o); err != nil {
			return err
		}
	}
	switch u := o.GetUpstreamProtocolOptions().(type) {
	case *httpv3.HttpProtocolOptions_ExplicitHttpConfig_:
		p, x := p.Dot("explicit_http_config"), u.ExplicitHttpConfig
		if x.GetProtocolConfig() == nil {
			return p.Errorf("needs one of http_protocol_options and http2_protocol_options")
		}
		if x.GetHttp2ProtocolOptions() != nil {
			info.Protocol = cluster.HTTP2
		}
		return bothOptions(p, x, x, info)
	case *httpv3.HttpProtocolOptions_UseDownstreamProtocolConfig:
		info.Protocol = cluster.UseDownstream
		return bothOptions(p.Dot("use_downstream_protocol_config"), u.UseDownstreamProtocolConfig, u.UseDownstreamProtocolConfig, info)
	case *httpv3.HttpProtocolOptions_AutoConfig:
		p := p.Dot("auto_config")
		if c.GetTransportSocket() == nil && len(c.GetTransportSocketMatches()) == 0 {
			return p.Errorf("needs a transport socket that negotiates by ALPN")
		}
		info.Protocol = cluster.Auto
		return bothOptions(p, u.AutoConfig, u.AutoConfig, info)
	}
	return nil
}

// legacyOptions compiles the deprecated fields of the cluster.
func legacyOptions(p field.Path, c *clusterv3.Cluster, info *cluster.Info) error {
	switch {
	case c.GetProtocolSelection() == clusterv3.Cluster_USE_DOWNSTREAM_PROTOCOL:
		info.Protocol = cluster.UseDownstream
	case c.GetHttpProtocolOptions() != nil && c.GetHttp2ProtocolOptions() != nil:
		return p.Dot("http2_protocol_options").Errorf("stands beside http_protocol_options, which needs the protocol_selection USE_DOWNSTREAM_PROTOCOL")
	case c.GetMaxRequestsPerConnection() != nil && c.GetCommonHttpProtocolOptions().GetMaxRequestsPerConnection() != nil:
		return p.Dot("common_http_protocol_options").Dot("max_requests_per_connection").Errorf("set in the cluster, too")
	case c.GetHttp2ProtocolOptions() != nil:
		info.Protocol = cluster.HTTP2
	}
	return firstError(
		commonHTTP(p.Dot("common_http_protocol_options"), c.GetCommonHttpProtocolOptions(), info),
		autoSNI(p.Dot("upstream_http_protocol_options"), legacySNI(c), info),
		http1Options(p.Dot("http_protocol_options"), c.GetHttpProtocolOptions(), info),
		http2Options(p.Dot("http2_protocol_options"), c.GetHttp2ProtocolOptions(), info),
	)
}

// legacySNI is the cluster's own upstream_http_protocol_options; those of a
// dynamic forward proxy check its hosts' names unless they say otherwise.
func legacySNI(c *clusterv3.Cluster) *corev3.UpstreamHttpProtocolOptions {
	o := c.GetUpstreamHttpProtocolOptions()
	if o == nil && c.GetClusterType().GetTypedConfig().MessageIs(&forwardv3.ClusterConfig{}) {
		o = &corev3.UpstreamHttpProtocolOptions{AutoSni: true, AutoSanValidation: true}
	}
	return o
}

// versions are the options of each version, wherever they are.
type versions interface {
	GetHttpProtocolOptions() *corev3.Http1ProtocolOptions
	GetHttp2ProtocolOptions() *corev3.Http2ProtocolOptions
}

func bothOptions(p field.Path, m proto.Message, v versions, info *cluster.Info) error {
	return firstError(
		field.Only(p, m, "http_protocol_options", "http2_protocol_options"),
		http1Options(p.Dot("http_protocol_options"), v.GetHttpProtocolOptions(), info),
		http2Options(p.Dot("http2_protocol_options"), v.GetHttp2ProtocolOptions(), info),
	)
}

func http2Options(p field.Path, o *corev3.Http2ProtocolOptions, info *cluster.Info) error {
	return http2.FromConfig(p, o, settings2(info))
}

// settings2 are the cluster's own HTTP/2 settings, made when first needed.
func settings2(info *cluster.Info) *http2.Settings {
	if info.HTTP2 == nil {
		s := http2.Defaults()
		info.HTTP2 = &s
	}
	return info.HTTP2
}

func commonHTTP(p field.Path, o *corev3.HttpProtocolOptions, info *cluster.Info) error {
	if o == nil {
		return nil
	}
	// headers_with_underscores_action concerns requests received only.
	if err := field.Only(p, o, "idle_timeout", "max_connection_duration", "max_headers_count", "max_response_headers_kb", "max_requests_per_connection", "max_stream_duration",
		"max_connection_duration_jitter", "headers_with_underscores_action"); err != nil {
		return err
	}
	if d := o.GetIdleTimeout(); d != nil {
		info.IdleTimeout = d.AsDuration() // 0 turns it off
	}
	info.MaxStreamDuration = o.GetMaxStreamDuration().AsDuration()
	info.MaxConnectionJitter = o.GetMaxConnectionDurationJitter().GetValue() / 100
	info.MaxConnectionDuration = o.GetMaxConnectionDuration().AsDuration()
	if o.GetMaxHeadersCount() != nil || o.GetMaxResponseHeadersKb() != nil {
		set := settings(info)
		set.MaxHeadersCount, set.MaxHeadersKB = o.GetMaxHeadersCount().GetValue(), o.GetMaxResponseHeadersKb().GetValue()
		if n := o.GetMaxHeadersCount(); n != nil {
			settings2(info).MaxHeadersCount = n.GetValue()
		}
		if n := o.GetMaxResponseHeadersKb(); n != nil {
			settings2(info).MaxHeadersKB = n.GetValue()
		}
	}
	if n := o.GetMaxRequestsPerConnection(); n != nil {
		info.MaxRequestsPerConnection = n.GetValue()
	}
	return nil
}

func http1Options(p field.Path, o *corev3.Http1ProtocolOptions, info *cluster.Info) error {
	if o == nil {
		return nil
	}
	// What only concerns requests received, or the choice of Envoy's parser,
	// means nothing on an upstream connection.
	if err := field.Only(p, o, "header_key_format", "enable_trailers", "allow_chunked_length", "send_fully_qualified_url",
		"allow_absolute_url", "accept_http_10", "default_host_for_http_10", "override_stream_error_on_invalid_http_message",
		"use_balsa_parser", "allow_custom_methods", "ignore_http_11_upgrade"); err != nil {
		return err
	}
	set := settings(info)
	set.EnableTrailers, set.AllowChunkedLength, set.AbsoluteForm = o.GetEnableTrailers(), o.GetAllowChunkedLength(), o.GetSendFullyQualifiedUrl()
	var err error
	set.HeaderFormat, err = http1.CompileHeaderFormat(p.Dot("header_key_format"), o.GetHeaderKeyFormat())
	return err
}

// settings are the cluster's own HTTP/1 settings, made when first needed.
func settings(info *cluster.Info) *http1.Settings {
	if info.HTTP1 == nil {
		info.HTTP1 = &http1.Settings{}
	}
	return info.HTTP1
}
