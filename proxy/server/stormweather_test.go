package server

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"strconv"
)

func certificateOf(c tls.Certificate) object {
	var chain bytes.Buffer
	for _, der := range c.Certificate {
		pem.Encode(&chain, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		panic(err)
	}
	return object{
		"certificate_chain": object{"inline_string": chain.String()},
		"private_key":       object{"inline_string": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))},
	}
}

// random is a configuration that anything may be part of.
func (s *storm) random() resources {
	clusters := list{s.cluster("tcp", pick(s.r, s.echo, s.echo, s.dead)), s.cluster("authz", pick(s.r, s.plain, s.plain, s.dead))}
	names := []string{"c0"}
	for i := range 6 {
		if s.sometimes(80) {
			name := "c" + strconv.Itoa(i)
			names = append(names, name)
			clusters = append(clusters, s.randomCluster(name))
		}
	}
	clusters = append(clusters,
		object{"@type": apis + "config.cluster.v3.Cluster", "name": "any", "connect_timeout": "0.2s", "lb_policy": "CLUSTER_PROVIDED",
			"cluster_type": typed("any", "extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig", object{"dns_cache_config": stormDNS()})},
		object{"@type": apis + "config.cluster.v3.Cluster", "name": "all", "connect_timeout": "0.2s", "lb_policy": "CLUSTER_PROVIDED",
			"cluster_type": typed("all", "extensions.clusters.aggregate.v3.ClusterConfig", object{"clusters": names})},
		object{"@type": apis + "config.cluster.v3.Cluster", "name": "dns", "connect_timeout": "0.2s", "type": pick(s.r, "STRICT_DNS", "LOGICAL_DNS"), "dns_lookup_family": "V4_ONLY", "dns_refresh_rate": "0.01s",
			"load_assignment": object{"cluster_name": "dns", "endpoints": list{object{"lb_endpoints": list{object{"endpoint": object{"address": object{"socket_address": object{"address": "localhost", "port_value": s.plain}}}}}}}}})
	names = append(names, "any", "all", "dns", "nowhere")
	var routes list
	for i := range 6 {
		routes = append(routes, s.randomRoute("/c"+strconv.Itoa(i), names))
	}
	routes = append(routes, object{"match": object{"prefix": "/"}, "route": object{"cluster": "c0"}})
	lds := list{s.randomListener("http", s.http, nil), s.randomListener("https", s.https, s.tls()), s.randomTCPListener(names)}
	if s.sometimes(10) {
		lds = lds[s.r.IntN(3):]
	}
	ports := []int{s.plain}
	for s.sometimes(50) {
		ports = append(ports, s.plain)
		break
	}
	return resources{"sds.json": {s.secret()}, "eds.json": {ofType("config.endpoint.v3.ClusterLoadAssignment", s.assignment("eds", ports...))}, "rds.json": {s.routes(routes)}, "cds.json": clusters, "lds.json": lds}
}

func (s *storm) randomCluster(name string) object {
	secure := s.sometimes(30)
	ports := []int{s.plain}
	if secure {
		ports[0] = s.secure
	}
	if s.sometimes(30) {
		ports = append(ports, s.dead)
	}
	c := object{
		"@type": apis + "config.cluster.v3.Cluster", "name": name, "type": "STATIC", "connect_timeout": "0.2s", "load_assignment": s.assignment(name, ports...),
		"lb_policy": pick(s.r, "ROUND_ROBIN", "LEAST_REQUEST", "RANDOM", "RING_HASH", "MAGLEV"),
	}
	if secure {
		c["transport_socket"] = typed("tls", "extensions.transport_sockets.tls.v3.UpstreamTlsContext", object{"sni": "example.com"})
	} else if s.sometimes(30) {
		c["type"], c["eds_cluster_config"] = "EDS", object{"eds_config": s.file("eds.json"), "service_name": "eds"}
		delete(c, "load_assignment")
	}
	common := object{}
	http := object{"common_http_protocol_options": common, "explicit_http_config": pick(s.r, object{"http_protocol_options": object{}}, object{"http2_protocol_options": object{"max_concurrent_streams": 1 + s.r.IntN(5)}})}
	if secure && s.sometimes(50) {
		delete(http, "explicit_http_config")
		http["auto_config"] = object{}
	}
	if s.sometimes(20) {
		common["idle_timeout"] = "0.02s"
	}
	if s.sometimes(20) {
		common["max_requests_per_connection"] = 1 + s.r.IntN(5)
	}
	if s.sometimes(20) {
		common["max_connection_duration"] = "0.05s"
	}
	c["typed_extension_protocol_options"] = object{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": typed("", "extensions.upstreams.http.v3.HttpProtocolOptions", http)["typed_config"]}
	if s.sometimes(20) {
		c["circuit_breakers"] = object{"thresholds": list{object{"max_connections": 1 + s.r.IntN(4), "max_pending_requests": 1 + s.r.IntN(4), "max_requests": 1 + s.r.IntN(6), "max_retries": 1, "track_remaining": true}}}
	}
	if s.sometimes(30) {
		check := object{"timeout": "0.05s", "interval": "0.02s", "no_traffic_interval": "0.02s", "healthy_threshold": 1, "unhealthy_threshold": 1, "reuse_connection": s.sometimes(50)}
		if s.sometimes(50) {
			check["http_health_check"] = object{"path": pick(s.r, "/x/fails", "/x/", "/x/reset", "/x/slow")}
			check["http_health_check"].(object)["codec_client_type"] = pick(s.r, "HTTP1", "HTTP2")
		} else {
			check["tcp_health_check"] = object{}
		}
		c["health_checks"] = list{check}
	}
	if s.sometimes(30) {
		c["outlier_detection"] = object{"consecutive_5xx": 2, "interval": "0.02s", "base_ejection_time": "0.05s", "max_ejection_percent": 50 + s.r.IntN(51), "max_ejection_time_jitter": "0.01s"}
	}
	if s.sometimes(15) {
		c["connection_pool_per_downstream_connection"] = true
	}
	if s.sometimes(15) {
		c["lb_subset_config"] = object{"fallback_policy": "ANY_ENDPOINT", "subset_selectors": list{object{"keys": list{"v"}}}}
	}
	if s.sometimes(15) {
		c["preconnect_policy"] = object{"per_upstream_preconnect_ratio": 1.5, "predictive_preconnect_ratio": 1.5}
	}
	return c
}

func (s *storm) randomRoute(prefix string, clusters []string) object {
	action := object{"cluster": pick(s.r, clusters...), "timeout": pick(s.r, "0.02s", "0.3s", "2s")}
	if s.sometimes(20) {
		delete(action, "cluster")
		action["weighted_clusters"] = object{"clusters": list{object{"name": pick(s.r, clusters...), "weight": 1}, object{"name": pick(s.r, clusters...), "weight": 2}}}
	}
	if s.sometimes(40) {
		retry := object{"retry_on": "5xx,reset,connect-failure", "num_retries": s.r.IntN(4), "retry_back_off": object{"base_interval": "0.002s"}}
		if s.sometimes(50) {
			retry["per_try_timeout"] = "0.02s"
		}
		action["retry_policy"] = retry
		if s.sometimes(50) {
			action["hedge_policy"] = object{"hedge_on_per_try_timeout": true}
		}
	}
	if s.sometimes(20) {
		action["request_mirror_policies"] = list{object{"cluster": pick(s.r, clusters...)}}
	}
	if s.sometimes(30) {
		action["hash_policy"] = list{object{"header": object{"header_name": "x-h"}}, object{"cookie": object{"name": "k", "ttl": "1s"}}}
	}
	if s.sometimes(20) {
		action["idle_timeout"] = "0.03s"
	}
	if s.sometimes(10) {
		action["max_stream_duration"] = object{"max_stream_duration": "0.03s"}
	}
	if s.sometimes(10) {
		action["internal_redirect_policy"] = object{"max_internal_redirects": 2, "redirect_response_codes": list{503}}
	}
	route := object{"match": object{"prefix": prefix}, "route": action}
	if s.sometimes(30) {
		route["response_headers_to_add"] = list{object{"header": object{"key": "x-u", "value": "%UPSTREAM_HOST% %RESPONSE_CODE_DETAILS%"}}}
	}
	if s.sometimes(20) {
		route["typed_per_filter_config"] = object{"buffer": typed("", "extensions.filters.http.buffer.v3.BufferPerRoute", object{"disabled": true})["typed_config"]}
	}
	return route
}

func stormDNS() object {
	return object{"name": "d", "dns_lookup_family": "V4_ONLY", "host_ttl": "0.05s", "dns_refresh_rate": "0.02s", "dns_min_refresh_rate": "1s", "max_hosts": 2}
}

func (s *storm) randomListener(name string, port int, tls object) object {
	var filters list
	for _, f := range s.r.Perm(len(stormFilters)) {
		if s.sometimes(20) {
			filters = append(filters, stormFilters[f]())
		}
	}
	m := s.manager(filters)
	c := m["typed_config"].(object)
	if s.sometimes(20) {
		c["common_http_protocol_options"] = object{"idle_timeout": "0.05s"}
	}
	if s.sometimes(20) {
		c["common_http_protocol_options"] = object{"max_requests_per_connection": 2, "max_connection_duration": "0.1s"}
	}
	if s.sometimes(30) {
		c["tracing"] = object{"provider": typed("otel", "config.trace.v3.OpenTelemetryConfig", object{"grpc_service": object{"envoy_grpc": object{"cluster_name": "authz"}, "timeout": "0.05s"}, "service_name": "a"}), "spawn_upstream_span": s.sometimes(50)}
	}
	if s.sometimes(20) {
		c["request_timeout"] = "0.02s"
	}
	if s.sometimes(20) {
		c["drain_timeout"] = "0.02s"
	}
	if s.sometimes(30) {
		c["access_log"] = list{typed("file", "extensions.access_loggers.file.v3.FileAccessLog", object{"path": s.dir + "/log",
			"log_format": object{"json_format": object{"f": "%RESPONSE_FLAGS%", "d": "%RESPONSE_CODE_DETAILS%", "u": "%UPSTREAM_HOST%", "t": "%DURATION%", "c": "%UPSTREAM_TLS_CIPHER%"}}})}
	}
	l := s.listener(name, port, tls, m)
	if s.sometimes(30) {
		l["per_connection_buffer_limit_bytes"] = 1 + s.r.IntN(20000)
	}
	if s.sometimes(30) {
		l["listener_filters"] = list{typed("tls", "extensions.filters.listener.tls_inspector.v3.TlsInspector", nil), typed("http", "extensions.filters.listener.http_inspector.v3.HttpInspector", nil)}
	}
	return l
}

// randomTCPListener is one of tcp_proxy behind other network filters.
func (s *storm) randomTCPListener(clusters []string) object {
	proxy := s.tcpProxy()
	c := proxy["typed_config"].(object)
	if s.sometimes(20) {
		c["cluster"] = pick(s.r, clusters...)
	}
	if s.sometimes(20) {
		c["idle_timeout"] = "0.02s"
	}
	if s.sometimes(20) {
		c["max_downstream_connection_duration"] = "0.03s"
	}
	if s.sometimes(20) {
		c["max_connect_attempts"] = 3
	}
	if s.sometimes(20) {
		c["tunneling_config"] = object{"hostname": "tunnel:1"}
	}
	if s.sometimes(30) {
		c["access_log"] = list{typed("file", "extensions.access_loggers.file.v3.FileAccessLog", object{"path": s.dir + "/log"})}
	}
	filters := list{}
	for _, f := range []object{
		typed("limit", "extensions.filters.network.connection_limit.v3.ConnectionLimit", object{"stat_prefix": "l", "max_connections": 3, "delay": "0.01s"}),
		typed("rate", "extensions.filters.network.local_ratelimit.v3.LocalRateLimit", object{"stat_prefix": "l", "token_bucket": object{"max_tokens": 5, "fill_interval": "0.05s"}}),
		typed("rbac", "extensions.filters.network.rbac.v3.RBAC", object{"stat_prefix": "l", "rules": object{"policies": object{"p": object{"permissions": list{object{"any": true}}, "principals": list{object{"any": true}}}}}}),
		typed("sni", "extensions.filters.network.sni_cluster.v3.SniCluster", nil),
	} {
		if s.sometimes(20) {
			filters = append(filters, f)
		}
	}
	l := s.listener("tcp", s.tcp, nil, proxy)
	chain := l["filter_chains"].(list)[0].(object)
	chain["filters"] = append(filters, proxy)
	if s.sometimes(30) {
		chain["transport_socket"] = s.tls()
	}
	return l
}

var stormFilters = []func() object{
	func() object {
		return typed("fault", "extensions.filters.http.fault.v3.HTTPFault", object{"delay": object{"fixed_delay": "0.005s", "percentage": object{"numerator": 20}}, "abort": object{"http_status": 503, "percentage": object{"numerator": 5}}})
	},
	func() object {
		return typed("lua", "extensions.filters.http.lua.v3.Lua", object{"default_source_code": object{"inline_string": `
function envoy_on_request(h) h:headers():add("x-l", "1"); local b = h:body(); if b then h:headers():add("x-n", b:length()) end end
function envoy_on_response(h) for c in h:bodyChunks() do c:length() end end`}})
	},
	func() object {
		return typed("buffer", "extensions.filters.http.buffer.v3.Buffer", object{"max_request_bytes": 30000})
	},
	func() object {
		return typed("compressor", "extensions.filters.http.compressor.v3.Compressor", object{"compressor_library": typed("gzip", "extensions.compression.gzip.compressor.v3.Gzip", nil)})
	},
	func() object {
		return typed("authz", "extensions.filters.http.ext_authz.v3.ExtAuthz", object{"transport_api_version": "V3", "failure_mode_allow": true,
			"http_service": object{"server_uri": object{"uri": "authz:1", "cluster": "authz", "timeout": "0.02s"}}})
	},
	func() object {
		return typed("admission", "extensions.filters.http.admission_control.v3.AdmissionControl", object{"success_criteria": object{"http_criteria": object{"http_success_status": list{object{"start": 100, "end": 500}}}}, "sampling_window": "1s"})
	},
	func() object {
		return typed("concurrency", "extensions.filters.http.adaptive_concurrency.v3.AdaptiveConcurrency", object{"gradient_controller_config": object{
			"sample_aggregate_percentile": object{"value": 90}, "concurrency_limit_params": object{"concurrency_update_interval": "0.02s"}, "min_rtt_calc_params": object{"interval": "0.2s", "request_count": 5}}})
	},
	func() object {
		return typed("limit", "extensions.filters.http.local_ratelimit.v3.LocalRateLimit", object{"stat_prefix": "l", "token_bucket": object{"max_tokens": 100, "tokens_per_fill": 100, "fill_interval": "0.05s"},
			"filter_enabled": object{"default_value": object{"numerator": 100}}, "filter_enforced": object{"default_value": object{"numerator": 100}}})
	},
	func() object {
		return typed("bandwidth", "extensions.filters.http.bandwidth_limit.v3.BandwidthLimit", object{"stat_prefix": "b", "enable_mode": "REQUEST_AND_RESPONSE", "limit_kbps": 100000, "fill_interval": "0.02s"})
	},
	func() object {
		return typed("proc", "extensions.filters.http.ext_proc.v3.ExternalProcessor", object{"failure_mode_allow": true, "message_timeout": "0.02s", "grpc_service": object{"envoy_grpc": object{"cluster_name": "authz"}, "timeout": "0.02s"},
			"processing_mode": object{"request_body_mode": "STREAMED", "response_body_mode": "BUFFERED"}})
	},
	func() object {
		return typed("jwt", "extensions.filters.http.jwt_authn.v3.JwtAuthentication", object{
			"providers": object{"p": object{"remote_jwks": object{"http_uri": object{"uri": "http://a/jwks", "cluster": "authz", "timeout": "0.02s"}}}},
			"rules":     list{object{"match": object{"prefix": "/c1"}, "requires": object{"provider_name": "p"}}}})
	},
	func() object {
		return typed("forward", "extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig", object{"dns_cache_config": stormDNS()})
	},
	func() object {
		return typed("rate", "extensions.filters.http.ratelimit.v3.RateLimit", object{"domain": "d", "timeout": "0.01s", "rate_limit_service": object{"transport_api_version": "V3", "grpc_service": object{"envoy_grpc": object{"cluster_name": "authz"}}}})
	},
	func() object {
		return typed("session", "extensions.filters.http.stateful_session.v3.StatefulSession", object{"session_state": typed("c", "extensions.http.stateful_session.cookie.v3.CookieBasedSessionState", object{"cookie": object{"name": "s"}})})
	},
	func() object {
		return typed("mutation", "extensions.filters.http.header_mutation.v3.HeaderMutation", object{"mutations": object{"response_mutations": list{object{"remove": "x-u"}}}})
	},
	func() object {
		return typed("decompressor", "extensions.filters.http.decompressor.v3.Decompressor", object{"decompressor_library": typed("gzip", "extensions.compression.gzip.decompressor.v3.Gzip", nil)})
	},
	func() object { return typed("cors", "extensions.filters.http.cors.v3.Cors", nil) },
	func() object {
		return typed("web", "extensions.filters.http.grpc_web.v3.GrpcWeb", nil)
	},
}
