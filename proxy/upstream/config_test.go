package upstream

import (
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/dns/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/redis/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/pick_first/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/proxy/upstream/lb"
)

const httpOptionsYAML = `typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {"@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, `

func TestRefusedConfigurations(t *testing.T) {
	for yml, want := range map[string]string{
		`{}`:                             `c.name: a cluster needs a name`,
		`{name: a, connect_timeout: 0s}`: `c.connect_timeout: 0s is not greater than 0`,
		`{name: a, health_checks: [{timeout: 1s, interval: 1s, unhealthy_threshold: 1, healthy_threshold: 1, custom_health_check: {name: x}}]}`: `c.health_checks[0]: weir does not support custom_health_check`,
		`{name: a, outlier_detection: {monitors: [{name: x}]}}`:                                                                                 `c.outlier_detection: weir does not support monitors of`,
		`{name: a, type: LOGICAL_DNS, load_assignment: {cluster_name: a}}`:                                                                      `c.load_assignment: a cluster with a logical host has a single locality`,
		`{name: a, lb_policy: MAGLEV, maglev_lb_config: {table_size: 10}}`:                                                                      `c.maglev_lb_config.table_size: the table size of maglev must be a prime number, 10 is not`,
		`{name: a, lb_policy: RING_HASH, ring_hash_lb_config: {minimum_ring_size: 9, maximum_ring_size: 8}}`:                                    `c.ring_hash_lb_config: ring hash: minimum_ring_size (9) > maximum_ring_size (8)`,
		`{name: a, lb_policy: RING_HASH, common_lb_config: {consistent_hashing_lb_config: {hash_balance_factor: 99}}}`:                          `hash_balance_factor: 99 is less than 100`,
		`{name: a, type: ORIGINAL_DST}`:                               `c.lb_policy: ROUND_ROBIN, but a cluster of type ORIGINAL_DST takes no other`,
		`{name: a, lb_policy: CLUSTER_PROVIDED}`:                      `c.lb_policy: a cluster of type STATIC`,
		`{name: a, type: EDS}`:                                        `c.eds_cluster_config: missing`,
		`{name: a, type: EDS, eds_cluster_config: {service_name: x}}`: `c.eds_cluster_config.eds_config: missing`,
		`{name: a, eds_cluster_config: {service_name: x}}`:            `c.eds_cluster_config: set in a cluster of type STATIC`,
		`{name: a, common_lb_config: {locality_weighted_lb_config: {}, update_merge_window: 1s}, load_assignment: {endpoints: [{leds_cluster_locality_config: {}}]}}`:                                        `c.load_assignment.endpoints[0]: weir does not support leds_cluster_locality_config`,
		`{name: a, transport_socket: {name: envoy.transport_sockets.tls}}`:                                                                                                                                   `c.transport_socket.name: weir does not support the transport socket "envoy.transport_sockets.tls"`,
		`{name: a, circuit_breakers: {thresholds: [{retry_budget: {budget_interval: 1s}}]}}`:                                                                                                                 `c.circuit_breakers.thresholds[0].retry_budget.budget_interval: weir counts active and pending requests only`,
		`{name: a, ` + httpOptionsYAML + `auto_config: {}}}}`:                                                                                                                                                `HttpProtocolOptions"].auto_config: needs a transport socket that negotiates by ALPN`,
		`{name: a, ` + httpOptionsYAML + `explicit_http_config: {http3_protocol_options: {}}}}}`:                                                                                                             `explicit_http_config: weir does not support http3_protocol_options`,
		`{name: a, ` + httpOptionsYAML + `common_http_protocol_options: {idle_timeout: 1s}}}}`:                                                                                                               `upstream_protocol_options: value is required`,
		`{name: a, load_assignment: {endpoints: [{lb_endpoints: [{}]}]}}`:                                                                                                                                    `c.load_assignment.endpoints[0].lb_endpoints[0].endpoint: missing`,
		`{name: a, load_assignment: ` + socket(`{address: host.test, port_value: 1}`) + `}`:                                                                                                                  `lb_endpoints[0].endpoint.address.socket_address.address: malformed IP address: host.test`,
		`{name: a, load_assignment: ` + socket(`{address: 10.0.0.1, port_value: 65536}`) + `}`:                                                                                                               `socket_address.port_value: 65536 is not a port`,
		`{name: a, load_assignment: ` + socket(`{address: 10.0.0.1, named_port: http}`) + `}`:                                                                                                                `socket_address: weir does not support named_port`,
		`{name: a, load_assignment: {policy: {drop_overloads: [{}, {}]}}}`:                                                                                                                                   `c.load_assignment.policy.drop_overloads: more than one category`,
		`{name: a, upstream_bind_config: {source_address: {address: x, port_value: 0}}}`:                                                                                                                     `c.upstream_bind_config.source_address.address: malformed IP address: x`,
		`{name: a, type: STRICT_DNS, dns_resolvers: [{pipe: {path: /x}}]}`:                                                                                                                                   `c.dns_resolvers[0]: a name server is reached by an IP address`,
		`{name: a, type: STRICT_DNS, dns_failure_refresh_rate: {base_interval: 2s, max_interval: 1s}}`:                                                                                                       `c.dns_failure_refresh_rate.max_interval: 1s is less than base_interval`,
		`{name: a, metadata: {typed_filter_metadata: {x: {"@type": type.googleapis.com/google.protobuf.Duration, value: 1s}}}}`:                                                                              `c.metadata: weir does not support typed_filter_metadata`,
		`{name: a, load_balancing_policy: {policies: [{typed_extension_config: {name: m, typed_config: {"@type": type.googleapis.com/envoy.extensions.load_balancing_policies.pick_first.v3.PickFirst}}}]}}`: `c.load_balancing_policy.policies: weir supports none of the policies ["m (type.googleapis.com/`,
	} {
		t.Run(want, func(t *testing.T) {
			c := &clusterv3.Cluster{}
			parse(t, yml, c)
			m := &Manager{o: Options{Endpoints: &fakeEDS{}}}
			_, err := m.compile("c", c)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %q\nwant  %q", err, want)
			}
		})
	}
}

func socket(address string) string {
	return `{endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: ` + address + `}}}]}]}`
}

func TestCompiledConfiguration(t *testing.T) {
	c := &clusterv3.Cluster{}
	parse(t, `
name: a
alt_stat_name: alt
connect_timeout: 2s
per_connection_buffer_limit_bytes: 32768
circuit_breakers: {thresholds: [{max_connections: 5, retry_budget: {}}, {max_connections: 6}, {priority: HIGH, max_requests: 7, track_remaining: true}], per_host_thresholds: [{max_connections: 2}]}
common_lb_config: {healthy_panic_threshold: {value: 10}, locality_weighted_lb_config: {}}
lb_policy: LEAST_REQUEST
least_request_lb_config: {choice_count: 4}
metadata: {filter_metadata: {ns: {k: v}}}
upstream_bind_config: {source_address: {address: 127.0.0.1, port_value: 0}}
upstream_connection_options: {tcp_keepalive: {keepalive_probes: 3}}
transport_socket: {name: envoy.transport_sockets.raw_buffer, typed_config: {"@type": type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer}}
`+httpOptionsYAML+`
  common_http_protocol_options: {idle_timeout: 0s, max_requests_per_connection: 9}, explicit_http_config: {http_protocol_options: {enable_trailers: true}}}}`, c)
	cfg, err := (&Manager{}).compile("c", c)
	if err != nil {
		t.Fatal(err)
	}
	i := cfg.info
	if i.StatName != "alt" || i.ConnectTimeout.Seconds() != 2 || i.BufferLimit != 32768 || i.IdleTimeout != 0 || i.MaxRequestsPerConnection != 9 || !i.HTTP1.EnableTrailers || !i.ShareActive || i.Metadata["ns"]["k"] != "v" {
		t.Errorf("%+v", i)
	}
	if d, h := &i.Resources[cluster.Default], &i.Resources[cluster.High]; d.Resource(cluster.Connections).Max() != 5 || d.PerHostMax != 2 || h.Resource(cluster.Requests).Max() != 7 || h.Resource(cluster.Retries).Max() != 3 || !cfg.track[cluster.High] {
		t.Errorf("circuit breakers: %+v %+v", d, h)
	}
	if want := (lb.LeastRequest{Choices: 4, Bias: 1, Locality: lb.Locality{Weighted: true, Zone: lb.DefaultZoneAware()}, SlowStart: lb.SlowStart{Aggression: 1, MinWeight: 0.1}}); cfg.policy != want {
		t.Errorf("policy %+v", cfg.policy)
	}
	if cfg.panicThreshold != 10 || len(i.Socket.Bind) != 1 || len(i.Socket.Options) != 3 {
		t.Errorf("panic threshold %v, socket %+v", cfg.panicThreshold, i.Socket)
	}
}
