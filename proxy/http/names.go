package http

// HeaderID is a small number for a header name that the proxy itself looks
// at. Unknown names have ID 0.
type HeaderID uint8

// The order is free; names is the table.
const (
	Unknown HeaderID = iota
	Method
	Path
	Authority
	Scheme
	Protocol
	Status
	Accept
	AcceptEncoding
	Authorization
	CacheControl
	Connection
	ContentEncoding
	ContentLength
	ContentType
	Cookie
	Date
	ETag
	Expect
	Forwarded
	GrpcMessage
	GrpcStatus
	GrpcTimeout
	Host
	HTTP2Settings
	KeepAlive
	LastModified
	Location
	Origin
	ProxyAuthenticate
	ProxyAuthorization
	ProxyConnection
	Referer
	RetryAfter
	Server
	SetCookie
	TE
	Trailer
	TransferEncoding
	Upgrade
	UserAgent
	Vary
	Via
	XClientTraceID
	XEnvoyAttemptCount
	XEnvoyDecoratorOperation
	XEnvoyDegraded
	XEnvoyDownstreamServiceCluster
	XEnvoyDownstreamServiceNode
	XEnvoyExpectedRqTimeoutMs
	XEnvoyExternalAddress
	XEnvoyForceTrace
	XEnvoyHedgeOnPerTryTimeout
	XEnvoyImmediateHealthCheckFail
	XEnvoyInternal
	XEnvoyIPTags
	XEnvoyIsTimeoutRetry
	XEnvoyMaxRetries
	XEnvoyOriginalHost
	XEnvoyOriginalPath
	XEnvoyOriginalURL
	XEnvoyOverloaded
	XEnvoyRateLimited
	XEnvoyRetriableHeaderNames
	XEnvoyRetriableStatusCodes
	XEnvoyRetryGrpcOn
	XEnvoyRetryOn
	XEnvoyUpstreamAltStatName
	XEnvoyUpstreamCanary
	XEnvoyUpstreamHealthCheckedCluster
	XEnvoyUpstreamRqPerTryTimeoutMs
	XEnvoyUpstreamRqTimeoutAltResponse
	XEnvoyUpstreamRqTimeoutMs
	XEnvoyUpstreamServiceTime
	XEnvoyUpstreamStreamDurationMs
	XForwardedClientCert
	XForwardedFor
	XForwardedHost
	XForwardedPort
	XForwardedProto
	XRequestID
	NumHeaderIDs
)

var names = [NumHeaderIDs]string{
	Method: ":method", Path: ":path", Authority: ":authority", Scheme: ":scheme", Protocol: ":protocol", Status: ":status",
	Accept: "accept", AcceptEncoding: "accept-encoding", Authorization: "authorization", CacheControl: "cache-control",
	Connection: "connection", ContentEncoding: "content-encoding", ContentLength: "content-length", ContentType: "content-type",
	Cookie: "cookie", Date: "date", ETag: "etag", Expect: "expect", Forwarded: "forwarded", GrpcMessage: "grpc-message", GrpcStatus: "grpc-status",
	GrpcTimeout: "grpc-timeout", Host: "host", HTTP2Settings: "http2-settings", KeepAlive: "keep-alive", LastModified: "last-modified",
	Location: "location", Origin: "origin", ProxyAuthenticate: "proxy-authenticate", ProxyAuthorization: "proxy-authorization",
	ProxyConnection: "proxy-connection", Referer: "referer", RetryAfter: "retry-after", Server: "server", SetCookie: "set-cookie",
	TE: "te", Trailer: "trailer", TransferEncoding: "transfer-encoding", Upgrade: "upgrade", UserAgent: "user-agent", Vary: "vary", Via: "via",
	XClientTraceID: "x-client-trace-id", XEnvoyAttemptCount: "x-envoy-attempt-count", XEnvoyDecoratorOperation: "x-envoy-decorator-operation",
	XEnvoyDegraded: "x-envoy-degraded", XEnvoyDownstreamServiceCluster: "x-envoy-downstream-service-cluster",
	XEnvoyDownstreamServiceNode: "x-envoy-downstream-service-node", XEnvoyExpectedRqTimeoutMs: "x-envoy-expected-rq-timeout-ms",
	XEnvoyExternalAddress: "x-envoy-external-address", XEnvoyForceTrace: "x-envoy-force-trace",
	XEnvoyHedgeOnPerTryTimeout: "x-envoy-hedge-on-per-try-timeout", XEnvoyImmediateHealthCheckFail: "x-envoy-immediate-health-check-fail",
	XEnvoyInternal: "x-envoy-internal", XEnvoyIPTags: "x-envoy-ip-tags", XEnvoyIsTimeoutRetry: "x-envoy-is-timeout-retry",
	XEnvoyMaxRetries: "x-envoy-max-retries", XEnvoyOriginalHost: "x-envoy-original-host", XEnvoyOriginalPath: "x-envoy-original-path", XEnvoyOriginalURL: "x-envoy-original-url",
	XEnvoyOverloaded: "x-envoy-overloaded", XEnvoyRateLimited: "x-envoy-ratelimited", XEnvoyRetriableHeaderNames: "x-envoy-retriable-header-names",
	XEnvoyRetriableStatusCodes: "x-envoy-retriable-status-codes", XEnvoyRetryGrpcOn: "x-envoy-retry-grpc-on", XEnvoyRetryOn: "x-envoy-retry-on",
	XEnvoyUpstreamAltStatName: "x-envoy-upstream-alt-stat-name", XEnvoyUpstreamCanary: "x-envoy-upstream-canary",
	XEnvoyUpstreamHealthCheckedCluster: "x-envoy-upstream-healthchecked-cluster",
	XEnvoyUpstreamRqPerTryTimeoutMs:    "x-envoy-upstream-rq-per-try-timeout-ms",
	XEnvoyUpstreamRqTimeoutAltResponse: "x-envoy-upstream-rq-timeout-alt-response",
	XEnvoyUpstreamRqTimeoutMs:          "x-envoy-upstream-rq-timeout-ms", XEnvoyUpstreamServiceTime: "x-envoy-upstream-service-time",
	XEnvoyUpstreamStreamDurationMs: "x-envoy-upstream-stream-duration-ms", XForwardedClientCert: "x-forwarded-client-cert",
	XForwardedFor: "x-forwarded-for", XForwardedHost: "x-forwarded-host", XForwardedPort: "x-forwarded-port", XForwardedProto: "x-forwarded-proto",
	XRequestID: "x-request-id",
}

// Name is the lower-case name of a known header.
func (id HeaderID) Name() string { return names[id] }

// idTable finds a name's ID by an open-addressed hash of its length and three
// of its bytes.
var idTable = buildIDTable()

const idSlots = 512

func idHash[T string | []byte](name T) uint {
	n := uint(len(name))
	return n*37 + uint(name[0])*5 + uint(name[n-1])*131 + uint(name[n/2])*17
}

func buildIDTable() (t [idSlots]HeaderID) {
	for id := Unknown + 1; id < NumHeaderIDs; id++ {
		h := idHash(names[id])
		for t[h%idSlots] != Unknown {
			h++
		}
		t[h%idSlots] = id
	}
	return t
}

// LookupID finds the ID of a lower-case name.
func LookupID[T string | []byte](name T) HeaderID {
	if len(name) == 0 {
		return Unknown
	}
	for h := idHash(name); ; h++ {
		id := idTable[h%idSlots]
		if id == Unknown || names[id] == string(name) {
			return id
		}
	}
}

// Which repeated fields Envoy joins into one line, found by sending each name
// twice through Envoy 1.40. All others stay apart.
const (
	joinRequest = 1 << iota
	joinResponse
)

var joined = [NumHeaderIDs]uint8{
	Connection: joinRequest | joinResponse, ContentEncoding: joinRequest | joinResponse, ContentType: joinRequest | joinResponse,
	CacheControl: joinRequest | joinResponse, KeepAlive: joinRequest | joinResponse, ProxyConnection: joinRequest | joinResponse,
	TransferEncoding: joinRequest | joinResponse, Upgrade: joinRequest | joinResponse, Via: joinRequest | joinResponse,
	XEnvoyAttemptCount: joinRequest | joinResponse, XEnvoyDecoratorOperation: joinRequest | joinResponse, XRequestID: joinRequest | joinResponse,

	Accept: joinRequest, AcceptEncoding: joinRequest, Authorization: joinRequest, Expect: joinRequest, GrpcTimeout: joinRequest,
	Origin: joinRequest, Referer: joinRequest, TE: joinRequest, UserAgent: joinRequest, XClientTraceID: joinRequest,
	XEnvoyDownstreamServiceCluster: joinRequest, XEnvoyDownstreamServiceNode: joinRequest, XEnvoyExpectedRqTimeoutMs: joinRequest,
	XEnvoyExternalAddress: joinRequest, XEnvoyForceTrace: joinRequest, XEnvoyHedgeOnPerTryTimeout: joinRequest, XEnvoyInternal: joinRequest,
	XEnvoyIPTags: joinRequest, XEnvoyIsTimeoutRetry: joinRequest, XEnvoyMaxRetries: joinRequest, XEnvoyOriginalHost: joinRequest,
	XEnvoyOriginalPath: joinRequest, XEnvoyOriginalURL: joinRequest, XEnvoyRetriableHeaderNames: joinRequest, XEnvoyRetriableStatusCodes: joinRequest,
	XEnvoyRetryGrpcOn: joinRequest, XEnvoyRetryOn: joinRequest, XEnvoyUpstreamAltStatName: joinRequest,
	XEnvoyUpstreamRqPerTryTimeoutMs: joinRequest, XEnvoyUpstreamRqTimeoutAltResponse: joinRequest, XEnvoyUpstreamRqTimeoutMs: joinRequest,
	XEnvoyUpstreamStreamDurationMs: joinRequest, XForwardedClientCert: joinRequest, XForwardedFor: joinRequest, XForwardedHost: joinRequest,
	XForwardedPort: joinRequest, XForwardedProto: joinRequest,

	Date: joinResponse, ETag: joinResponse, GrpcMessage: joinResponse, GrpcStatus: joinResponse, LastModified: joinResponse,
	Location: joinResponse, Server: joinResponse, Vary: joinResponse, XEnvoyDegraded: joinResponse, XEnvoyImmediateHealthCheckFail: joinResponse,
	XEnvoyRateLimited: joinResponse, XEnvoyUpstreamCanary: joinResponse, XEnvoyUpstreamHealthCheckedCluster: joinResponse,
	XEnvoyUpstreamServiceTime: joinResponse,
}

// Joined tells whether repeated lines of the field are joined by "," into one
// when a request (or response) is decoded, as Envoy does for the fields that
// it keeps at a fixed place.
func (id HeaderID) Joined(request bool) bool {
	if request {
		return joined[id]&joinRequest != 0
	}
	return joined[id]&joinResponse != 0
}
