package tokenbucket

import (
	"time"

	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"github.com/weirproxy/weir/internal/field"
)

// Compile compiles a TokenBucket; least is the shortest fill_interval.
func Compile(p field.Path, m *typev3.TokenBucket, least time.Duration) (*Bucket, error) {
	if err := field.Only(p, m, "max_tokens", "tokens_per_fill", "fill_interval"); err != nil {
		return nil, err
	}
	interval, perFill := m.GetFillInterval().AsDuration(), uint32(1)
	if n := m.GetTokensPerFill(); n != nil {
		perFill = n.GetValue()
	}
	switch {
	case interval <= 0 || interval < least:
		return nil, p.Dot("fill_interval").Errorf("must be at least %v", max(least, time.Nanosecond))
	case perFill == 0:
		return nil, p.Dot("tokens_per_fill").Errorf("must be greater than 0")
	}
	return New(m.GetMaxTokens(), perFill, interval), nil
}
