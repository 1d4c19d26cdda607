// Package oracle compares weir with Envoy: each case in cases/ is a
// configuration and some requests; both proxies get the same, and what the
// client saw, what the upstream received, log lines, statistics and admin
// pages must agree.
//
//	go test -tags oracle ./test/oracle                          # all cases
//	go test -tags oracle ./test/oracle -run Cases/retries       # one file
//	go test -tags oracle ./test/oracle -run Cases/x -show -v    # what Envoy answers, without weir
//	go test -tags oracle ./test/oracle -run Cases -files 'F'    # cases that lie elsewhere
//
// The environment can name other binaries: ENVOY (default: envoy in PATH) and
// WEIR (default: built from this tree). Without an Envoy the tests are
// skipped, but fail when CI=true. Where a maintainer's collection of further
// cases lies beside the repository (../shared, or WEIR_SHARED), TestShared
// runs those too.
//
// A case has these fields, all but name optional:
//
//	name:             what it shows
//	virtual_hosts:    of the route configuration; default: everything to u1
//	route_config:     further RouteConfiguration fields
//	hcm:              further HttpConnectionManager fields
//	http_filters:     before the router: [{name, type, config}]
//	router:           Router fields
//	network_filters:  instead of the connection manager, [{name, type, config}]
//	listener_filters: [{name, type, config}]
//	udp_filters:      makes it a UDP listener with these filters
//	tls:              the listener speaks TLS: further DownstreamTlsContext fields ({} for none); requests then have tls: {sni, alpn, cert, version, …}
//	listener:         further Listener fields
//	clusters:         {u1: {...}}: fields merged into u1, u2, u3 (echo servers), h2 and h2s (echoes over HTTP/2, h2s over TLS), s1, s2 (echo servers over TLS, s2 asks for a certificate), raw (answers with the quoted bytes that it got), udp1, udp2 (answer datagrams), dead (refuses) and grpc (gRPC services, with http2_protocol_options: {}), or further clusters
//	bootstrap:        further Bootstrap fields
//	files:            {name: content}: files in {{dir}}, of JSON; a request's files replace them before it
//	requests:         sent one after another; see the request type
//	log:              a format string, or {log_format: ...}: lines of the access log are compared; without an HCM, of {{dir}}/access.log
//	stat_names:       true: the names of all statistics, and the samples and labels of the Prometheus page, are compared
//	stats:            names of statistics whose values are compared at the end
//	admin:            admin pages that are compared then, one after another: /path, or POST /path
//	validate:         a whole bootstrap; only whether --mode validate takes it is compared
//	ignore:           header names that are not compared
//	collect:          how much telemetry to wait for; what came to the clusters collector (gRPC) and collector-http is compared
//	untimed:          how long answers take is not compared
//	differs:          why weir does not agree here, on purpose; then it must not
//
// TestDialogues plays the scripts in dialogues/: what a control plane says, step
// by step, and what the proxies ask, answer, count and show in between; the
// types dialogue and turn have their fields.
//
//	go test -tags oracle ./test/oracle -run Dialogues/routes
//
// {{certs}} is a directory of certificates (tls_test.go lists them), {{hash:NAME}}
// and {{spki:NAME}} are fingerprints of one and of its key.
// {{u1}}, {{u2}}, {{u3}}, {{s1}}, {{s2}}, {{dead}}, {{grpc}}, {{port}} and {{dir}} stand for the ports of
// the upstreams and of the listener, and for a directory of the proxy's own;
// in the headers of HTTP/1 requests only those of the upstreams do.
package oracle
