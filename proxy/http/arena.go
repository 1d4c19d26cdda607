package http

import "strings"

// arena hands out pieces of byte blocks that are all given up together. The
// first block is kept for reuse.
type arena struct {
	block []byte // the block in use
	first []byte
	used  int
}

const arenaBlock = 2 << 10

func (a *arena) reset() {
	if a.first != nil {
		a.block = a.first
	}
	a.used = 0
}

func (a *arena) alloc(n int) []byte {
	if len(a.block)-a.used < n {
		size := max(n, arenaBlock)
		a.block, a.used = make([]byte, size), 0
		// An arena that once needed a large first block keeps a usual one.
		if a.first == nil && size <= 4*arenaBlock {
			a.first = a.block
		}
	}
	p := a.block[a.used : a.used+n : a.used+n]
	a.used += n
	return p
}

// smallInts are the numbers 0 to 999, three digits each.
var smallInts = func() string {
	var b strings.Builder
	for i := range 1000 {
		b.WriteByte('0' + byte(i/100))
		b.WriteByte('0' + byte(i/10%10))
		b.WriteByte('0' + byte(i%10))
	}
	return b.String()
}()

func smallIntSkip(n int64) int {
	switch {
	case n < 10:
		return 2
	case n < 100:
		return 1
	}
	return 0
}
