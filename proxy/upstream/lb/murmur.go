package lb

import "encoding/binary"

// murmurSeed is the seed of libstdc++'s std::hash, which Envoy's
// MURMUR_HASH_2 is.
const murmurSeed = 0xc70f6907

// murmur2 is MurmurHash64A (Austin Appleby).
func murmur2(b []byte, seed uint64) uint64 {
	const m = 0xc6a4a7935bd1e995
	mix := func(v uint64) uint64 { return v ^ v>>47 }
	h := seed ^ uint64(len(b))*m
	for ; len(b) >= 8; b = b[8:] {
		h = (h ^ mix(binary.LittleEndian.Uint64(b)*m)*m) * m
	}
	if len(b) > 0 {
		var tail [8]byte
		copy(tail[:], b)
		h = (h ^ binary.LittleEndian.Uint64(tail[:])) * m
	}
	return mix(mix(h) * m)
}
