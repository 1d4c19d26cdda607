package accesslog

import (
	"math/rand/v2"
	"strconv"

	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

// Filter tells whether a stream is to be logged.
type Filter func(*formatter.Context) bool

func and(filters []Filter) Filter {
	return func(c *formatter.Context) bool {
		for _, f := range filters {
			if !f(c) {
				return false
			}
		}
		return true
	}
}

func or(filters []Filter) Filter {
	return func(c *formatter.Context) bool {
		for _, f := range filters {
			if f(c) {
				return true
			}
		}
		return false
	}
}

func notHealthCheck(c *formatter.Context) bool { return !c.Info.HealthCheck }
func traceable(c *formatter.Context) bool      { return c.Info.ForceTrace } // as Envoy's filter has it

// header matches request headers; a stream without any has an empty map.
func header(m matcher.Header) Filter {
	none := new(http.HeaderMap)
	return func(c *formatter.Context) bool {
		if c.RequestHeaders == nil {
			return m.Match(none)
		}
		return m.Match(c.RequestHeaders)
	}
}

// responseFlags matches streams with one of the flags; no flags means any.
func responseFlags(flags streaminfo.Flags) Filter {
	if flags == 0 {
		return func(c *formatter.Context) bool { return c.Info.Flags != 0 }
	}
	return func(c *formatter.Context) bool { return c.Info.Flags&flags != 0 }
}

// grpcStatuses takes a set of statuses; a stream without one counts as
// unknown (2), gRPC or not, as in Envoy.
func grpcStatuses(set map[int]bool, exclude bool) Filter {
	return func(c *formatter.Context) bool {
		status, ok := formatter.AnyGRPCStatus(c)
		if !ok {
			status = 2
		}
		return set[status] != exclude
	}
}

func logTypes(set map[streaminfo.LogType]bool, exclude bool) Filter {
	return func(c *formatter.Context) bool { return set[c.Info.LogType] != exclude }
}

// metadata matches a value of the dynamic metadata.
func metadata(namespace string, path []string, m matcher.Value, ifMissing bool) Filter {
	return func(c *formatter.Context) bool {
		v, found := matcher.LookupMetadata(c.Info.Metadata, namespace, path)
		if !found {
			return ifMissing
		}
		return m.Match(v, found)
	}
}

// sampled takes a share of the streams: by the random part of the request's
// ID, so that all proxies that a request passes agree, or by chance.
func sampled(numerator func() uint64, denominator uint64, independent bool) Filter {
	return func(c *formatter.Context) bool {
		n, ok := uint64(0), false
		if !independent && c.RequestHeaders != nil {
			n, ok = requestNumber(c.RequestHeaders.Get(http.XRequestID))
		}
		if !ok {
			n = rand.Uint64()
		}
		return n%denominator < numerator()
	}
}

// requestNumber is the number that Envoy makes of a UUID: its first 8 digits.
func requestNumber(id string) (uint64, bool) {
	if len(id) != 36 {
		return 0, false
	}
	n, err := strconv.ParseUint(id[:8], 16, 64)
	return n, err == nil
}
