package http

import (
	"math"
	"strconv"
	"time"
)

// ParseGrpcTimeout reads a grpc-timeout, "100m" and the like (gRPC over
// HTTP/2, "Requests"); ok is false when it is none.
func ParseGrpcTimeout(s string) (d time.Duration, ok bool) {
	if len(s) < 2 || len(s) > 9 {
		return 0, false
	}
	n, err := strconv.ParseUint(s[:len(s)-1], 10, 32)
	if err != nil {
		return 0, false
	}
	unit, ok := grpcUnits[s[len(s)-1]]
	if ok && n > uint64(longest/unit) {
		return longest, true
	}
	return time.Duration(n) * unit, ok
}

// longest stands for all timeouts that a Duration can't hold; whole
// milliseconds can be made of it.
const longest = math.MaxInt64 / time.Hour * time.Hour

var grpcUnits = map[byte]time.Duration{
	'H': time.Hour, 'M': time.Minute, 'S': time.Second, 'm': time.Millisecond, 'u': time.Microsecond, 'n': 1,
}

// SetGrpcTimeout sets grpc-timeout in the smallest unit, from milliseconds on,
// in which its eight digits hold it.
func SetGrpcTimeout(h *HeaderMap, d time.Duration) {
	const most = 99_999_999
	n, unit := int64(d/time.Millisecond), "m"
	if d >= longest {
		n = math.MaxInt64
	}
	for _, u := range []struct {
		name string
		each int64
	}{{"S", 1000}, {"M", 60}, {"H", 60}} {
		if n <= most {
			break
		}
		n, unit = n/u.each, u.name
	}
	h.Set(GrpcTimeout, h.Concat(h.Int(min(n, most)), unit))
}
