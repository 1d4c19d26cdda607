package lb

import (
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/weirproxy/weir/proxy/stats"
)

// Maglev is the consistent hashing of Google's load balancer (Eisenbud et
// al., NSDI 2016, section 3.4): hosts take turns to fill a table, each in an
// order of its own.
type Maglev struct {
	Consistent
	TableSize uint64 // a prime
}

// Default and bound of maglev_lb_config.
const (
	defaultMaglevTable = 65537
	maxMaglevTable     = 5000011
)

type maglevStats struct {
	Max stats.Gauge `stat:"max_entries_per_host"`
	Min stats.Gauge `stat:"min_entries_per_host"`
}

// Name implements Policy.
func (Maglev) Name() string { return "maglev" }

// New implements Policy.
func (m Maglev) New(env Env) ThreadAware {
	return newHashing("maglev", &m.Consistent, env, m.build)
}

type maglevTable []uint32

// maglevTurn is a host's place in the order in which it takes entries.
type maglevTurn struct {
	key                 string
	host                uint32
	weight, target      float64
	at, skip, taken, of uint64
}

func (t *maglevTurn) next() uint64 {
	c := t.at
	t.at = (t.at + t.skip) % t.of
	return c
}

func (m *Maglev) build(n *normalized, s *maglevStats) table {
	if len(n.hosts) == 0 {
		return maglevTable{}
	}
	turns := m.turns(n)
	const free = ^uint32(0)
	out := slices.Repeat([]uint32{free}, int(m.TableSize))
	filled := uint64(0)
	for round := 1.0; filled < m.TableSize; round++ {
		for i := range turns {
			t := &turns[i]
			// A host of half the greatest weight passes every other time.
			if round*t.weight < t.target {
				continue
			}
			t.target += n.max
			c := t.next()
			for out[c] != free {
				c = t.next()
			}
			out[c] = t.host
			t.taken++
			if filled++; filled == m.TableSize {
				break
			}
		}
	}
	fewest, most := m.TableSize, uint64(0)
	for i := range turns {
		fewest, most = min(fewest, turns[i].taken), max(most, turns[i].taken)
	}
	s.Min.Set(int64(fewest))
	s.Max.Set(int64(most))
	return maglevTable(out)
}

// turns are the hosts by key, so that the table does not depend on the order
// of the configuration.
func (m *Maglev) turns(n *normalized) []maglevTurn {
	turns := make([]maglevTurn, len(n.hosts))
	d := xxhash.NewWithSeed(1)
	for i, w := range n.hosts {
		key := m.key(w.host)
		d.ResetWithSeed(1)
		d.WriteString(key)
		turns[i] = maglevTurn{
			key: key, host: uint32(i), weight: w.weight, of: m.TableSize,
			at: xxhash.Sum64String(key) % m.TableSize, skip: d.Sum64()%(m.TableSize-1) + 1,
		}
	}
	slices.SortStableFunc(turns, func(a, b maglevTurn) int { return strings.Compare(a.key, b.key) })
	return turns
}

// pick is the entry of the hash. Other attempts flip most of its bits.
func (t maglevTable) pick(hash uint64, attempt uint32) int {
	if len(t) == 0 {
		return -1
	}
	if attempt > 0 {
		hash ^= -uint64(attempt)
	}
	return int(t[hash%uint64(len(t))])
}

func isPrime(n uint64) bool {
	if n < 2 || n%2 == 0 {
		return n == 2
	}
	for d := uint64(3); d*d <= n; d += 2 {
		if n%d == 0 {
			return false
		}
	}
	return true
}
