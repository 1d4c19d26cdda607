package tracing

import (
	"strconv"
	"strings"
	"time"

	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

// Names of tags, Envoy's.
const (
	tagMethod     = "http.method"
	tagStatusCode = "http.status_code"
	tagGRPCStatus = "grpc.status_code"
	tagError      = "error"
)

// FinishDownstream ends the span of a request: c is the stream's.
func (c *Config) FinishDownstream(s *Span, ctx *formatter.Context) {
	if s == nil {
		return
	}
	if s.Sampled {
		c.tagRequest(s, ctx)
		s.SetTag("request_size", strconv.FormatUint(ctx.Info.BytesReceived, 10))
		s.SetTag("response_size", strconv.FormatUint(ctx.Info.BytesSent, 10))
		r := Result{
			Cluster: ctx.Info.Cluster, ClusterStatName: ctx.Info.ClusterStatName,
			Code: ctx.Info.ResponseCode, Flags: string(ctx.Info.AppendFlags(nil, false)),
		}
		if isGRPC(ctx.RequestHeaders) {
			r.grpc(ctx.ResponseHeaders, ctx.ResponseTrailers)
		}
		c.tagCommon(s, ctx, &r, true)
	}
	s.Finish(ctx.Time)
}

func (c *Config) tagRequest(s *Span, ctx *formatter.Context) {
	h, info := ctx.RequestHeaders, ctx.Info
	if h == nil {
		return
	}
	if h.Has(http.XRequestID) {
		s.SetTag("guid:x-request-id", h.Get(http.XRequestID))
	}
	s.SetTag("http.url", c.url(h))
	s.SetTag(tagMethod, h.Get(http.Method))
	s.SetTag("downstream_cluster", orDash(h.Get(http.XEnvoyDownstreamServiceCluster)))
	s.SetTag("user_agent", orDash(h.Get(http.UserAgent)))
	s.SetTag("http.protocol", orDash(info.Protocol))
	s.SetTag("peer.address", host(info.DownstreamDirectRemote))
	if h.Has(http.XClientTraceID) {
		s.SetTag("guid:x-client-trace-id", h.Get(http.XClientTraceID))
	}
	if isGRPC(h) {
		s.SetTag("grpc.path", h.Get(http.Path))
		s.SetTag("grpc.authority", h.Get(http.Authority))
		s.SetTag("grpc.content_type", h.Get(http.ContentType))
		if v, ok := h.Get(http.GrpcTimeout), h.Has(http.GrpcTimeout); ok {
			s.SetTag("grpc.timeout", v)
		}
	}
}

// url is the request's as it came, with a path of at most maxPath bytes.
func (c *Config) url(h *http.HeaderMap) string {
	path := h.Get(http.XEnvoyOriginalPath)
	if path == "" {
		path = h.Get(http.Path)
	}
	return h.Get(http.XForwardedProto) + "://" + h.Get(http.Authority) + path[:min(len(path), c.maxPath)]
}

// Result is how a request, or a try of it, ended.
type Result struct {
	Cluster, ClusterStatName string
	Code                     int
	Flags                    string // "-" without any
	grpcStatus, grpcMessage  string
}

func (r *Result) grpc(headers, trailers *http.HeaderMap) {
	for _, h := range []*http.HeaderMap{trailers, headers} {
		if h != nil && h.Has(http.GrpcStatus) {
			r.grpcStatus, r.grpcMessage = h.Get(http.GrpcStatus), h.Get(http.GrpcMessage)
			return
		}
	}
}

// tagCommon adds what the spans of requests and of tries have in common.
func (c *Config) tagCommon(s *Span, ctx *formatter.Context, r *Result, downstream bool) {
	s.SetTag("component", "proxy")
	if r.Cluster != "" {
		name := r.ClusterStatName
		if name == "" {
			name = r.Cluster
		}
		s.SetTag("upstream_cluster", r.Cluster)
		s.SetTag("upstream_cluster.name", name)
	}
	s.SetTag(tagStatusCode, strconv.Itoa(max(r.Code, 0)))
	s.SetTag("response_flags", r.Flags)
	failed := r.Code >= 500 || r.Code == 0
	if r.grpcStatus != "" {
		s.SetTag(tagGRPCStatus, r.grpcStatus)
		if r.grpcMessage != "" {
			s.SetTag("grpc.message", r.grpcMessage)
		}
		code, err := strconv.Atoi(r.grpcStatus)
		failed = failed || err != nil || grpcFailed(code)
	}
	if c.verbose {
		annotate(s, ctx.Info, downstream)
	}
	if failed {
		s.SetTag(tagError, "true")
	}
	for i := range c.tags {
		if !s.route.tags.names(c.tags[i].name) {
			c.tags[i].apply(s, ctx)
		}
	}
	for i := range s.route.tags {
		s.route.tags[i].apply(s, ctx)
	}
}

// FinishUpstream ends the span of a try at a host.
func (c *Config) FinishUpstream(s *Span, ctx *formatter.Context, addr network.Address, protocol string, r Result, headers, trailers *http.HeaderMap, now time.Time) {
	if s == nil {
		return
	}
	if s.Sampled {
		s.SetTag("http.protocol", orDash(protocol))
		if addr.IsSet() || addr.IsPipe() {
			s.SetTag("upstream_address", addr.String())
			s.SetTag("peer.address", addr.String())
		}
		if isGRPC(ctx.RequestHeaders) {
			r.grpc(headers, trailers)
		}
		c.tagCommon(s, ctx, &r, false)
	}
	s.Finish(now)
}

// grpcFailed tells whether a status is the server's failure.
func grpcFailed(code int) bool {
	switch code {
	case 2, 4, 12, 13, 14, 15: // unknown, deadline exceeded, unimplemented, internal, unavailable, data loss
		return true
	}
	return code < 0 || code > 16
}

// annotate adds the points in time that verbose asks for.
func annotate(s *Span, i *streaminfo.Info, downstream bool) {
	add := func(name string, at time.Duration) {
		if at != 0 {
			s.Log(name, i.Start.Add(at-i.Begin))
		}
	}
	if downstream {
		add("last_downstream_rx_byte_received", i.LastDownstreamRxByte)
	}
	add("first_upstream_tx_byte_sent", i.FirstUpstreamTxByte)
	add("last_upstream_tx_byte_sent", i.LastUpstreamTxByte)
	add("first_upstream_rx_byte_received", i.FirstUpstreamRxByte)
	add("last_upstream_rx_byte_received", i.LastUpstreamRxByte)
	if downstream {
		add("first_downstream_tx_byte_sent", i.FirstDownstreamTxByte)
		add("last_downstream_tx_byte_sent", i.LastDownstreamTxByte)
	}
}

func isGRPC(h *http.HeaderMap) bool {
	const grpc = "application/grpc"
	if h == nil {
		return false
	}
	t := h.Get(http.ContentType)
	return strings.HasPrefix(t, grpc) && (len(t) == len(grpc) || t[len(grpc)] == '+')
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// host is an address without its port.
func host(a network.Address) string {
	if a.IsPipe() {
		return a.Path
	}
	if !a.IsSet() {
		return ""
	}
	return a.Addr().String()
}
