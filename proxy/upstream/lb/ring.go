package lb

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	"github.com/cespare/xxhash/v2"

	"github.com/weirproxy/weir/proxy/stats"
)

// RingHash puts each host on a ring of hashes many times, as often as its
// weight asks for; a request goes to the next host on the ring (ketama).
type RingHash struct {
	Consistent
	MinSize, MaxSize uint64 // entries on the ring
	Murmur           bool   // MurmurHash2 instead of xxHash64
}

// Defaults and bound of ring_hash_lb_config.
const (
	defaultMinRing = 1024
	maxRing        = 8 << 20
)

type ringStats struct {
	Max  stats.Gauge `stat:"max_hashes_per_host"`
	Min  stats.Gauge `stat:"min_hashes_per_host"`
	Size stats.Gauge `stat:"size"`
}

// Name implements Policy.
func (RingHash) Name() string { return "ring_hash" }

// New implements Policy.
func (r RingHash) New(env Env) ThreadAware {
	return newHashing("ring_hash", &r.Consistent, env, r.build)
}

type ring []ringEntry // by hash

type ringEntry struct {
	hash uint64
	host uint32
}

func (r *RingHash) build(n *normalized, s *ringStats) table {
	if len(n.hosts) == 0 {
		return ring{}
	}
	// The host that weighs least has a whole number of entries.
	scale := min(math.Ceil(n.min*float64(r.MinSize))/n.min, float64(r.MaxSize))
	size := uint64(math.Ceil(scale))
	out := make(ring, 0, size)
	fewest, most := size, uint64(0)
	var key []byte
	target := 0.0
	for i, w := range n.hosts {
		key = append(append(key[:0], r.key(w.host)...), '_')
		prefix := len(key)
		target += scale * w.weight
		count := uint64(0)
		for float64(len(out)) < target {
			key = strconv.AppendUint(key[:prefix], count, 10)
			out = append(out, ringEntry{r.hash(key), uint32(i)})
			count++
		}
		fewest, most = min(fewest, count), max(most, count)
	}
	slices.SortFunc(out, func(a, b ringEntry) int { return cmp.Compare(a.hash, b.hash) })
	s.Size.Set(int64(size))
	s.Min.Set(int64(fewest))
	s.Max.Set(int64(most))
	return out
}

func (r *RingHash) hash(key []byte) uint64 {
	if r.Murmur {
		return murmur2(key, murmurSeed)
	}
	return xxhash.Sum64(key)
}

// pick is the first entry at or after the hash. Another attempt moves on by
// as many entries.
func (r ring) pick(hash uint64, attempt uint32) int {
	if len(r) == 0 {
		return -1
	}
	i, _ := slices.BinarySearchFunc(r, hash, func(e ringEntry, h uint64) int { return cmp.Compare(e.hash, h) })
	if i == len(r) {
		i = 0
	}
	return int(r[(i+int(attempt))%len(r)].host)
}
