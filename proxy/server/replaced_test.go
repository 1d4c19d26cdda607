package server

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// turnedOver is what TestReplaced replaces: parts of a configuration, anew at
// each turn.
type turnedOver struct {
	turn      int
	listener  object // an HTTP listener
	manager   object // its connection manager
	cluster   object // where its requests go
	resources resources
}

// TestReplaced replaces a listener and its cluster over and over, with one
// feature at a time, and looks whether those before are gone: a control plane
// does so for weeks.
func TestReplaced(t *testing.T) {
	s := newStorm(t, 1)
	s.write(s.calm())
	p := start(t, s.bootstrap())
	p.wantStat("listener_manager.total_listeners_active", "3")

	grpc := object{"log_name": "a", "transport_api_version": "V3", "grpc_service": object{"envoy_grpc": object{"cluster_name": "authz"}}}
	features := map[string]func(*turnedOver){
		"nothing": func(*turnedOver) {},
		"gRPC access log": func(x *turnedOver) {
			x.manager["access_log"] = list{typed("log", "extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig", object{"common_config": grpc})}
		},
		"OpenTelemetry access log": func(x *turnedOver) {
			x.manager["access_log"] = list{typed("log", "extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig", object{"common_config": grpc})}
		},
		"tracing": func(x *turnedOver) {
			x.manager["tracing"] = object{"provider": typed("otel", "config.trace.v3.OpenTelemetryConfig", object{"grpc_service": grpc["grpc_service"], "service_name": fmt.Sprint("a", x.turn)})}
		},
		"names of statistics": func(x *turnedOver) { x.manager["stat_prefix"] = fmt.Sprint("p", x.turn) },
		"inline routes": func(x *turnedOver) {
			routes := s.routes(list{object{"match": object{"prefix": "/"}, "route": object{"cluster": "x"}}})
			delete(routes, "@type")
			delete(x.manager, "rds")
			x.manager["route_config"] = routes
		},
		"secrets": func(x *turnedOver) {
			name := fmt.Sprint("s", x.turn)
			x.resources["sds.json"] = list{s.secret(), ofType("extensions.transport_sockets.tls.v3.Secret", object{"name": name, "tls_certificate": stormCertificate()})}
			context := object{"common_tls_context": object{"tls_certificate_sds_secret_configs": list{object{"name": name, "sds_config": s.file("sds.json")}}}}
			x.resources["lds.json"][1] = s.listener("https", s.https, typed("tls", "extensions.transport_sockets.tls.v3.DownstreamTlsContext", context), s.manager(nil))
		},
		"listener filters": func(x *turnedOver) {
			x.listener["listener_filters"] = list{typed("tls", "extensions.filters.listener.tls_inspector.v3.TlsInspector", nil), typed("http", "extensions.filters.listener.http_inspector.v3.HttpInspector", nil)}
		},
		"upstream TLS": func(x *turnedOver) {
			x.cluster["load_assignment"] = s.assignment("x", s.secure)
			x.cluster["transport_socket"] = typed("tls", "extensions.transport_sockets.tls.v3.UpstreamTlsContext", object{"sni": "example.com"})
		},
		"upstream HTTP/2": func(x *turnedOver) { x.cluster["http2_protocol_options"] = object{} },
		"health checks": func(x *turnedOver) {
			x.cluster["health_checks"] = list{object{"timeout": "0.05s", "interval": "0.02s", "healthy_threshold": 1, "unhealthy_threshold": 1, "http_health_check": object{"path": "/"}}}
		},
		"outlier detection": func(x *turnedOver) { x.cluster["outlier_detection"] = object{"interval": "0.02s"} },
		"EDS": func(x *turnedOver) {
			x.cluster["type"], x.cluster["eds_cluster_config"] = "EDS", object{"eds_config": s.file("eds.json"), "service_name": "eds"}
			delete(x.cluster, "load_assignment")
		},
		"DNS": func(x *turnedOver) { x.cluster["type"] = "STRICT_DNS" },
		"aggregate": func(x *turnedOver) {
			delete(x.cluster, "load_assignment")
			delete(x.cluster, "type")
			x.cluster["lb_policy"], x.cluster["cluster_type"] = "CLUSTER_PROVIDED", typed("all", "extensions.clusters.aggregate.v3.ClusterConfig", object{"clusters": list{"c0"}})
		},
		"subsets": func(x *turnedOver) {
			x.cluster["lb_subset_config"] = object{"fallback_policy": "ANY_ENDPOINT", "subset_selectors": list{object{"keys": list{"v"}}}}
		},
		"maglev": func(x *turnedOver) { x.cluster["lb_policy"] = "MAGLEV" },
	}
	for _, make := range stormFilters {
		features["filter "+make()["name"].(string)] = func(x *turnedOver) {
			x.manager["http_filters"] = slices.Insert(x.manager["http_filters"].(list), 0, any(make()))
		}
	}

	turn := 0
	replace := func(feature func(*turnedOver)) {
		turn++
		filter := s.manager(nil)
		x := &turnedOver{turn: turn, listener: s.listener("http", s.http, nil, filter), manager: filter["typed_config"].(object), cluster: s.cluster("x", s.plain), resources: s.calm()}
		x.manager["server_name"], x.cluster["connect_timeout"] = fmt.Sprint("s", turn), fmt.Sprintf("%d.5s", turn)
		x.resources["lds.json"][0] = x.listener
		x.resources["rds.json"] = list{s.routes(list{object{"match": object{"prefix": "/"}, "route": object{"cluster": "x"}}})}
		feature(x)
		x.resources["cds.json"] = append(x.resources["cds.json"], s.cluster("authz", s.plain), x.cluster)
		s.write(x.resources)
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		p.until("the listener answers anew", func() bool {
			r, err := client.Post(fmt.Sprintf("http://127.0.0.1:%d/x", s.http), "text/plain", strings.NewReader("a"))
			if err != nil {
				return false
			}
			io.Copy(io.Discard, r.Body)
			r.Body.Close()
			return r.Header.Get("server") == fmt.Sprint("s", turn)
		})
	}
	const turns, perTurn = 15, 8 << 10 // bytes; a listener takes 20 kB
	for _, name := range slices.Sorted(maps.Keys(features)) {
		for range 3 {
			replace(features[name])
		}
		heap, goroutines := living()
		for range turns {
			replace(features[name])
		}
		p.until("what was replaced is gone, with "+name, func() bool {
			h, g := living()
			return h < heap+turns*perTurn && g < goroutines+turns // some may have begun late
		})
	}
}

// living is how many bytes are in use, and how many goroutines there are.
func living() (heap uint64, goroutines int) {
	runtime.GC()
	runtime.GC() // what finalizers and pools held
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc, runtime.NumGoroutine()
}
