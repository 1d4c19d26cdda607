package async

import (
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/weirproxy/weir/internal/field"
)

// DefaultRetryOn is for services that retry by their nature when a policy
// names no condition.
const DefaultRetryOn = "5xx,gateway-error,connect-failure,reset"

// CompileRetry compiles an envoy.config.core.v3.RetryPolicy; nil is nil.
// otherwise is its retry_on when it has none.
func CompileRetry(p field.Path, c *corev3.RetryPolicy, otherwise string) (*Retry, error) {
	if c == nil {
		return nil, nil
	}
	if err := field.Only(p, c, "retry_back_off", "num_retries", "retry_on"); err != nil {
		return nil, err
	}
	r := &Retry{times: 1, base: 25 * time.Millisecond}
	if n := c.GetNumRetries(); n != nil {
		r.times = int(n.GetValue())
	}
	if b := c.GetRetryBackOff(); b != nil {
		r.base = max(b.GetBaseInterval().AsDuration(), time.Millisecond)
		r.most = b.GetMaxInterval().AsDuration()
	}
	if r.most == 0 {
		r.most = 10 * r.base
	}
	if r.most < r.base {
		return nil, p.Dot("retry_back_off").Dot("max_interval").Errorf("is less than base_interval")
	}
	on := c.GetRetryOn()
	if on == "" {
		on = otherwise
	}
	for name := range strings.SplitSeq(on, ",") {
		switch strings.TrimSpace(name) {
		case "5xx":
			r.server, r.gateway, r.reset, r.connect = true, true, true, true
		case "gateway-error":
			r.gateway = true
		case "reset":
			r.reset, r.connect = true, true
		case "connect-failure":
			r.connect = true
		case "retriable-4xx":
			r.conflict = true
		case "refused-stream":
			r.refused = true
		case "reset-before-request":
			r.connect = true
		case "envoy-ratelimited":
			r.limited = true
		case "cancelled":
			r.grpc = append(r.grpc, "1")
		case "deadline-exceeded":
			r.grpc = append(r.grpc, "4")
		case "resource-exhausted":
			r.grpc = append(r.grpc, "8")
		case "internal":
			r.grpc = append(r.grpc, "13")
		case "unavailable":
			r.grpc = append(r.grpc, "14")
		case "", "retriable-status-codes", "retriable-headers":
			// The policy has no place for the codes and headers.
		default:
			return nil, p.Dot("retry_on").Errorf("weir does not support %q here", name)
		}
	}
	return r, nil
}
