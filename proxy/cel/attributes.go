package cel

import (
	"crypto/x509"
	"slices"
	"strconv"
	"strings"

	"github.com/weirproxy/weir/internal/x509name"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// roots are Envoy's attributes
// (https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/advanced/attributes).
var roots = map[string]func(in *Input, key string) (any, bool){
	"request":               request,
	"response":              response,
	"connection":            connection,
	"source":                source,
	"destination":           destination,
	"upstream":              upstreamHost,
	"xds":                   xds,
	"metadata":              func(in *Input, key string) (any, bool) { return filterMetadata(in.Info.Metadata, key) },
	"filter_state":          func(in *Input, key string) (any, bool) { return state(in.Info.FilterState, key) },
	"upstream_filter_state": func(in *Input, key string) (any, bool) { return state(in.Info.UpstreamFilterState, key) },
}

func request(in *Input, key string) (any, bool) {
	h, i := in.RequestHeaders, in.Info
	switch key {
	case "size":
		if h != nil {
			if n, err := strconv.ParseInt(h.Get(http.ContentLength), 10, 64); err == nil {
				return n, true
			}
		}
		return int64(i.BytesReceived), true
	case "time":
		return i.Start, true
	case "duration":
		return i.Duration(in.Now), true
	case "protocol":
		return text(i.Protocol)
	}
	if h == nil {
		return nil, false
	}
	switch key {
	case "headers":
		return headers(h), true
	case "total_size":
		return int64(i.BytesReceived + uint64(h.Bytes())), true
	case "path":
		return field(h, http.Path)
	case "url_path":
		path, _, _ := strings.Cut(h.Get(http.Path), "?")
		return path, true
	case "query":
		_, query, _ := strings.Cut(h.Get(http.Path), "?")
		query, _, _ = strings.Cut(query, "#")
		return query, true
	case "host":
		return field(h, http.Authority)
	case "scheme":
		return field(h, http.Scheme)
	case "method":
		return field(h, http.Method)
	case "referer":
		return field(h, http.Referer)
	case "id":
		return field(h, http.XRequestID)
	case "useragent":
		return field(h, http.UserAgent)
	}
	return nil, false
}

func field(h *http.HeaderMap, id http.HeaderID) (any, bool) { return h.Get(id), h.Has(id) }

func response(in *Input, key string) (any, bool) {
	h, i := in.ResponseHeaders, in.Info
	switch key {
	case "code":
		return int64(i.ResponseCode), i.ResponseCode > 0
	case "code_details":
		return text(i.ResponseCodeDetails)
	case "size":
		return int64(i.BytesSent), true
	case "flags":
		return int64(i.Flags), true
	case "headers":
		return headers(h), h != nil
	case "trailers":
		return headers(in.ResponseTrailers), true
	case "total_size":
		n := i.BytesSent
		for _, h := range []*http.HeaderMap{h, in.ResponseTrailers} {
			if h != nil {
				n += uint64(h.Bytes())
			}
		}
		return int64(n), true
	case "grpc_status":
		return grpcStatus(in)
	case "backend_latency":
		if i.FirstUpstreamTxByte == 0 || i.LastUpstreamRxByte == 0 {
			return nil, false
		}
		return i.LastUpstreamRxByte - i.FirstUpstreamTxByte, true
	}
	return nil, false
}

// grpcStatus is the status; of a response without one, what its HTTP status
// stands for.
func grpcStatus(in *Input) (any, bool) {
	for _, h := range []*http.HeaderMap{in.ResponseTrailers, in.ResponseHeaders} {
		if h == nil || !h.Has(http.GrpcStatus) {
			continue
		}
		if n, err := strconv.ParseInt(h.Get(http.GrpcStatus), 10, 32); err == nil {
			return n, true
		}
	}
	return int64(http.GRPCStatus(in.Info.ResponseCode)), true
}

func connection(in *Input, key string) (any, bool) {
	i := in.Info
	switch key {
	case "id":
		if i.Conn == nil {
			return nil, false
		}
		return uint64(i.Conn.ID()), true
	case "requested_server_name":
		return i.RequestedServerName, true
	case "termination_details":
		return text(i.TerminationDetails)
	case "transport_failure_reason":
		return text(i.DownstreamFailure)
	}
	t := i.DownstreamTLS()
	if key == "mtls" {
		return t != nil && t.PeerCertificatePresented(), true
	}
	return session(t, key)
}

// session is what a TLS session tells.
func session(t network.TLSInfo, key string) (any, bool) {
	if t == nil {
		return nil, false
	}
	switch key {
	case "tls_version":
		return text(t.Version())
	case "subject_peer_certificate":
		return t.SubjectPeer(), true
	case "subject_local_certificate":
		if c := local(t); c != nil {
			return x509name.String(c.RawSubject), true
		}
		return "", true
	case "dns_san_local_certificate":
		if c := local(t); c != nil {
			return first(c.DNSNames)
		}
		return nil, false
	case "uri_san_local_certificate":
		return first(t.URISANsLocal())
	case "uri_san_peer_certificate":
		return first(t.URISANsPeer())
	case "dns_san_peer_certificate":
		return first(t.DNSSANsPeer())
	case "sha256_peer_certificate_digest":
		return text(t.SHA256Peer())
	}
	return nil, false
}

// local is the certificate that was sent, nil when none was.
func local(t network.TLSInfo) *x509.Certificate {
	if s, ok := t.(interface{ LocalCertificate() *x509.Certificate }); ok {
		return s.LocalCertificate()
	}
	return nil
}

func source(in *Input, key string) (any, bool) { return address(in.Info.DownstreamRemote, key) }

func destination(in *Input, key string) (any, bool) { return address(in.Info.DownstreamLocal, key) }

func address(a network.Address, key string) (any, bool) {
	switch {
	case key == "address" && (a.IsSet() || a.IsPipe()):
		return a.String(), true
	case key == "port" && a.IsSet() && !a.IsPipe():
		return int64(a.Port()), true
	}
	return nil, false
}

func upstreamHost(in *Input, key string) (any, bool) {
	i := in.Info
	switch key {
	case "address", "port":
		return address(i.UpstreamHost, key)
	case "local_address":
		return address(i.UpstreamLocal, "address")
	case "transport_failure_reason":
		return i.UpstreamFailure, i.UpstreamFailure != "" || i.UpstreamHost.IsSet() || i.UpstreamHost.IsPipe()
	case "request_attempt_count":
		return uint64(max(i.AttemptCount, 0)), true
	case "cx_pool_ready_duration":
		if i.UpstreamPoolAsked == 0 || i.UpstreamPoolReady == 0 {
			return nil, false
		}
		return i.UpstreamPoolReady - i.UpstreamPoolAsked, true
	case "locality":
		return object{find: func(part string) (any, bool) { return locality(i.UpstreamLocality, part) }}, i.UpstreamHost.IsSet() || i.UpstreamHost.IsPipe()
	}
	return session(i.UpstreamTLS, key)
}

func locality(l [3]string, part string) (any, bool) {
	i := slices.Index([]string{"region", "zone", "sub_zone"}, part)
	if i < 0 {
		return nil, false
	}
	return l[i], true
}

func xds(in *Input, key string) (any, bool) {
	i := in.Info
	switch key {
	case "cluster_name":
		return text(i.Cluster)
	case "cluster_metadata":
		return metadata(i.ClusterMetadata), true
	case "route_name":
		return i.RouteName, true
	case "route_metadata":
		return metadata(i.RouteMetadata), true
	case "virtual_host_name":
		return i.VirtualHost, true
	case "virtual_host_metadata":
		return metadata(i.VirtualHostMetadata), true
	case "upstream_host_metadata":
		return metadata(i.UpstreamMetadata), true
	case "listener_metadata":
		return metadata(i.ListenerMetadata), true
	case "filter_chain_name":
		return i.FilterChain, true
	case "listener_direction":
		return int64(i.Direction), true
	case "node":
		return node(i.Node), i.Node != nil
	}
	return nil, false
}

// node is the proxy's Node.
func node(n map[string]any) message {
	return message{
		get: func(field string) (any, bool) {
			v, ok := n[field]
			switch {
			case field == "locality":
				l, _ := v.(map[string]any)
				return object{find: func(part string) (any, bool) { s, _ := l[part].(string); return s, true }}, true
			case field == "metadata" && !ok:
				return map[string]any{}, true
			}
			return v, ok
		},
		set: func(field string) bool { return n[field] != nil },
	}
}

// metadata is a Metadata message: its one field is filter_metadata.
func metadata(m map[string]map[string]any) object {
	return object{find: func(key string) (any, bool) { return filterMetadata(m, key) }}
}

func filterMetadata(m map[string]map[string]any, key string) (any, bool) {
	if key != "filter_metadata" {
		return nil, false
	}
	return object{find: func(namespace string) (any, bool) {
		values, ok := m[namespace]
		return values, ok
	}}, true
}

// state is a filter state object, as a string where it is neither a plain value
// nor one with fields for expressions.
func state(objects map[string]any, key string) (any, bool) {
	switch v := objects[key].(type) {
	case nil:
		return nil, false
	case interface{ Attribute(string) (any, bool) }:
		return object{find: v.Attribute}, true
	case interface{ String() string }:
		return v.String(), true
	default:
		return v, true
	}
}

func text(s string) (any, bool) { return s, s != "" }

func first(list []string) (any, bool) {
	if len(list) == 0 {
		return nil, false
	}
	return list[0], true
}
