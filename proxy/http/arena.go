package http

import (
	"strings"

	"github.com/weirproxy/weir/internal/given"
)

// arena hands out pieces of byte blocks that are all given up together. The
// largest block up to maxKept is kept, so that an arena that is used again and
// again for messages of like size comes to need no memory.
type arena struct {
	block []byte // the block in use
	kept  []byte
	used  int
}

const (
	minBlock = 2 << 10
	maxKept  = 16 << 10
)

func (a *arena) reset() {
	given.Back(a.block)
	given.Back(a.kept)
	a.block, a.used = a.kept, 0
}

func (a *arena) alloc(n int) []byte {
	if len(a.block)-a.used < n {
		size := max(n, minBlock, min(2*len(a.block), maxKept))
		a.block, a.used = make([]byte, size), 0
		if size <= maxKept {
			a.kept = a.block
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
