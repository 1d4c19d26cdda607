package formatter

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/weirproxy/weir/proxy/http"
)

// grpcCodes are the names of google.rpc.Code, camel and snake.
var grpcCodes = [...][2]string{{"OK", "OK"}, {"Canceled", "CANCELLED"}, {"Unknown", "UNKNOWN"}, {"InvalidArgument", "INVALID_ARGUMENT"},
	{"DeadlineExceeded", "DEADLINE_EXCEEDED"}, {"NotFound", "NOT_FOUND"}, {"AlreadyExists", "ALREADY_EXISTS"},
	{"PermissionDenied", "PERMISSION_DENIED"}, {"ResourceExhausted", "RESOURCE_EXHAUSTED"}, {"FailedPrecondition", "FAILED_PRECONDITION"},
	{"Aborted", "ABORTED"}, {"OutOfRange", "OUT_OF_RANGE"}, {"Unimplemented", "UNIMPLEMENTED"}, {"Internal", "INTERNAL"},
	{"Unavailable", "UNAVAILABLE"}, {"DataLoss", "DATA_LOSS"}, {"Unauthenticated", "UNAUTHENTICATED"}}

// GRPCStatus is the status of a gRPC request: from the trailers, else the
// headers, else what the HTTP status stands for. ok is false for requests
// that are not gRPC.
func GRPCStatus(c *Context) (status int, ok bool) {
	if !isGRPC(c.RequestHeaders) {
		return 0, false
	}
	return AnyGRPCStatus(c)
}

// AnyGRPCStatus is GRPCStatus for requests of any kind, as access log filters
// see it.
func AnyGRPCStatus(c *Context) (int, bool) {
	for _, h := range [...]*http.HeaderMap{c.ResponseTrailers, c.ResponseHeaders} {
		if h == nil || !h.Has(http.GrpcStatus) {
			continue
		}
		n, err := strconv.ParseUint(h.Get(http.GrpcStatus), 10, 31)
		if err != nil {
			return -1, true
		}
		return int(n), true
	}
	if c.Info.ResponseCode == 0 {
		return 0, false
	}
	return http.GRPCStatus(c.Info.ResponseCode), true
}

func isGRPC(h *http.HeaderMap) bool {
	if h == nil {
		return false
	}
	t := h.Get(http.ContentType)
	rest, ok := strings.CutPrefix(t, "application/grpc")
	return ok && (rest == "" || rest[0] == '+')
}

func appendGRPCStatusNumber(dst []byte, c *Context) ([]byte, kind) {
	n, ok := GRPCStatus(c)
	if !ok {
		return dst, none
	}
	return strconv.AppendInt(dst, int64(n), 10), literal
}

// compileGRPCStatus is GRPC_STATUS(CAMEL_STRING|SNAKE_STRING|NUMBER).
func compileGRPCStatus(param string) (operator, error) {
	form := 0
	switch param {
	case "", "CAMEL_STRING":
	case "SNAKE_STRING":
		form = 1
	case "NUMBER":
		return appendGRPCStatusNumber, nil
	default:
		return nil, fmt.Errorf("the form is CAMEL_STRING, SNAKE_STRING or NUMBER, not %q", param)
	}
	return func(dst []byte, c *Context) ([]byte, kind) {
		n, ok := GRPCStatus(c)
		switch {
		case !ok:
			return dst, none
		case n >= 0 && n < len(grpcCodes):
			return append(dst, grpcCodes[n][form]...), text
		}
		return strconv.AppendInt(dst, int64(n), 10), text
	}, nil
}
