package listener

import "sync"

// balancer is connection_balance_config.exact_balance: each new connection
// goes to the worker that has the fewest of this listener, under a lock.
type balancer struct {
	mu   sync.Mutex
	open []int // by worker
}

// pick chooses a worker and counts the connection there.
func (b *balancer) pick() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	best := 0
	for i, n := range b.open {
		if n < b.open[best] {
			best = i
		}
	}
	b.open[best]++
	return best
}

// opened counts a connection that came to a worker in another way.
func (b *balancer) opened(worker int) {
	b.mu.Lock()
	b.open[worker]++
	b.mu.Unlock()
}

func (b *balancer) closed(worker int) {
	b.mu.Lock()
	b.open[worker]--
	b.mu.Unlock()
}
