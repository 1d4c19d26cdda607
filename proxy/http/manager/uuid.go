package manager

import (
	"math/rand/v2"
	"unsafe"

	"github.com/weirproxy/weir/proxy/http"
)

// uuidSource makes the values of x-request-id: random UUIDs (RFC 9562
// version 4), unique but not secret.
type uuidSource struct{}

func (uuidSource) next(h *http.HeaderMap, r *rand.Rand) string {
	const hex = "0123456789abcdef"
	a, b := r.Uint64(), r.Uint64()
	out := h.Alloc(36)
	n := 0
	put := func(v uint64, digits int) {
		for i := range digits {
			out[n] = hex[v>>(60-4*i)&15]
			n++
		}
	}
	put(a, 8)
	out[n] = '-'
	n++
	put(a<<32, 4)
	out[n] = '-'
	n++
	put(4<<60|(a<<48)>>4, 4)
	out[n] = '-'
	n++
	put(b>>2|2<<62, 4)
	out[n] = '-'
	n++
	put(b<<16, 12)
	return unsafe.String(&out[0], len(out))
}
