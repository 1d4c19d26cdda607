package sink

import (
	"context"

	"github.com/weirproxy/weir/proxy/stats"
)

// Sink takes statistics.
type Sink interface {
	// Flush sends what was used since the start. It blocks.
	Flush(ctx context.Context, s *stats.Snapshot) error
	Close()
}

// deltas remembers counters, to send what they grew by.
type deltas map[string]int64

// of is the counter's growth since the last call. A counter that was reset
// starts anew.
func (d deltas) of(name string, value int64) int64 {
	grown := value - d[name]
	d[name] = value
	if grown < 0 {
		return value
	}
	return grown
}
