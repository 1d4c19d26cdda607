package lb

import (
	"math"

	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// bounded passes over hosts that have more than their part of the requests
// (consistent hashing with bounded loads, arXiv:1608.01350): then others are
// tried in an order that the hash gives.
type bounded struct {
	table
	hosts     []weighted
	resources *[cluster.NumPriorities]cluster.Resources
	factor    uint32 // percent

	order []uint32 // one worker's scratch
	rand  *mersenne
}

func newBounded(t table, hosts []weighted, r *[cluster.NumPriorities]cluster.Resources, factor uint32) *bounded {
	return &bounded{table: t, hosts: hosts, resources: r, factor: factor}
}

// forWorker is the table with scratch space of a worker's own.
func (b *bounded) forWorker() *bounded {
	c := *b
	c.order, c.rand = make([]uint32, len(c.hosts)), &mersenne{}
	return &c
}

// overload is a host's load relative to what it may have.
func (b *bounded) overload(w *weighted) float64 {
	active := uint32(0)
	for i := range b.resources {
		active += uint32(b.resources[i].Resource(cluster.Requests).Count())
	}
	slots := ((active+1)*b.factor + 99) / 100
	return float64(w.host.Active.Load()) / max(math.Ceil(float64(slots)*w.weight), 1)
}

func (b *bounded) pick(hash uint64, attempt uint32) int {
	first := b.table.pick(hash, attempt)
	if first < 0 {
		return first
	}
	least := b.overload(&b.hosts[first])
	if least <= 1 {
		return first
	}
	best, n := first, uint32(len(b.hosts))
	for i := range b.order {
		b.order[i] = uint32(i)
	}
	b.rand.seed(uint32(hash))
	for i := range n {
		j := i + b.rand.below(n-i)
		b.order[i], b.order[j] = b.order[j], b.order[i]
		k := int(b.order[i])
		if k == first {
			continue
		}
		load := b.overload(&b.hosts[k])
		if load <= 1 {
			return k
		}
		if load < least {
			best, least = k, load
		}
	}
	return best
}

// mersenne is MT19937 (Matsumoto and Nishimura, 1998), as std::mt19937: the
// same seed gives the same order of hosts as in Envoy.
type mersenne struct {
	state [624]uint32
	next  int
}

func (m *mersenne) seed(s uint32) {
	m.state[0] = s
	for i := uint32(1); i < 624; i++ {
		p := m.state[i-1]
		m.state[i] = 1812433253*(p^p>>30) + i
	}
	m.next = 624
}

func (m *mersenne) twist() {
	for i := range m.state {
		y := m.state[i]&0x80000000 | m.state[(i+1)%624]&0x7fffffff
		v := m.state[(i+397)%624] ^ y>>1
		if y&1 != 0 {
			v ^= 0x9908b0df
		}
		m.state[i] = v
	}
	m.next = 0
}

func (m *mersenne) uint32() uint32 {
	if m.next == 624 {
		m.twist()
	}
	y := m.state[m.next]
	m.next++
	y ^= y >> 11
	y ^= y << 7 & 0x9d2c5680
	y ^= y << 15 & 0xefc60000
	return y ^ y>>18
}

// below is a number from 0 to k-1.
func (m *mersenne) below(k uint32) uint32 {
	for part := (uint64(1) << 32) / uint64(k); ; {
		if x := uint64(m.uint32()) / part; x < uint64(k) {
			return uint32(x)
		}
	}
}
