package http

import "strings"

const grpcType = "application/grpc"

// IsGRPC tells whether a message is gRPC by its content type:
// "application/grpc", or that with "+" and an encoding. With parameters Envoy
// does not take it for gRPC.
func IsGRPC(h *HeaderMap) bool {
	ct := h.Get(ContentType)
	return strings.HasPrefix(ct, grpcType) && (len(ct) == len(grpcType) || ct[len(grpcType)] == '+')
}

// IsGRPCResponse tells whether a response is gRPC: one that is headers only by
// its status.
func IsGRPCResponse(h *HeaderMap, end bool) bool {
	if end {
		return h.Has(GrpcStatus)
	}
	return h.Get(Status) == "200" && IsGRPC(h)
}

// GRPCStatus is the gRPC status that stands for an HTTP one (gRPC's
// http-grpc-status-mapping), 200 being unknown.
func GRPCStatus(code int) int {
	switch code {
	case 400:
		return 13 // internal
	case 401:
		return 16 // unauthenticated
	case 403:
		return 7 // permission denied
	case 404:
		return 12 // unimplemented
	case 429, 502, 503, 504:
		return 14 // unavailable
	}
	return 2 // unknown
}

// PercentEncode is the encoding of grpc-message (gRPC over HTTP/2,
// "Responses").
func PercentEncode(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c >= ' ' && c <= '~' && c != '%' {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}
