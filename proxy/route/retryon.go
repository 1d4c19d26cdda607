package route

import "strings"

// RetryOn is a set of conditions under which a request is tried again.
type RetryOn uint32

// The conditions of x-envoy-retry-on and x-envoy-retry-grpc-on.
const (
	Retry5xx RetryOn = 1 << iota
	RetryGatewayError
	RetryConnectFailure
	RetryEnvoyRateLimited
	RetryRetriable4xx
	RetryRefusedStream
	RetryRetriableStatusCodes
	RetryRetriableHeaders
	RetryReset
	RetryResetBeforeRequest
	RetryHTTP3PostConnectFailure
	RetryGrpcCancelled
	RetryGrpcDeadlineExceeded
	RetryGrpcResourceExhausted
	RetryGrpcUnavailable
	RetryGrpcInternal
)

// ParseRetryOn reads a comma-separated list of conditions, HTTP and gRPC
// alike; unknown is the first that is none, "" when all are.
func ParseRetryOn(list string) (on RetryOn, unknown string) {
	for list != "" {
		var name string
		name, list, _ = strings.Cut(list, ",")
		name = strings.TrimSpace(name)
		bit := retryCondition(name)
		if bit == 0 && name != "" && unknown == "" {
			unknown = name
		}
		on |= bit
	}
	return on, unknown
}

func retryCondition(name string) RetryOn {
	switch name {
	case "5xx":
		return Retry5xx
	case "gateway-error":
		return RetryGatewayError
	case "connect-failure":
		return RetryConnectFailure
	case "envoy-ratelimited":
		return RetryEnvoyRateLimited
	case "retriable-4xx":
		return RetryRetriable4xx
	case "refused-stream":
		return RetryRefusedStream
	case "retriable-status-codes":
		return RetryRetriableStatusCodes
	case "retriable-headers":
		return RetryRetriableHeaders
	case "reset":
		return RetryReset
	case "reset-before-request":
		return RetryResetBeforeRequest
	case "http3-post-connect-failure":
		return RetryHTTP3PostConnectFailure
	case "cancelled":
		return RetryGrpcCancelled
	case "deadline-exceeded":
		return RetryGrpcDeadlineExceeded
	case "resource-exhausted":
		return RetryGrpcResourceExhausted
	case "unavailable":
		return RetryGrpcUnavailable
	case "internal":
		return RetryGrpcInternal
	}
	return 0
}
