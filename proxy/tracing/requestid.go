package tracing

import (
	"strconv"
	"unsafe"

	"github.com/weirproxy/weir/proxy/http"
)

// Reason is why a request is traced, or isn't.
type Reason uint8

const (
	NotTraceable Reason = iota
	Sampling
	ServiceForced
	ClientForced
	HealthCheck
)

// An x-request-id tells in one digit of its UUID, which is 4 in a random one,
// why its request is traced.
const (
	uuidLength  = 36
	reasonDigit = 14
)

func reasonOf(id string) Reason {
	if len(id) != uuidLength {
		return NotTraceable
	}
	switch id[reasonDigit] {
	case '9':
		return Sampling
	case 'a':
		return ServiceForced
	case 'b':
		return ClientForced
	}
	return NotTraceable
}

func setReason(h *http.HeaderMap, r Reason) {
	id := h.Get(http.XRequestID)
	digit := [...]byte{NotTraceable: '4', Sampling: '9', ServiceForced: 'a', ClientForced: 'b'}[r]
	if len(id) != uuidLength || id[reasonDigit] == digit {
		return
	}
	b := h.Alloc(uuidLength)
	copy(b, id)
	b[reasonDigit] = digit
	h.Set(http.XRequestID, unsafe.String(&b[0], len(b)))
}

// randomOf is the number in a request id that sampling goes by, so that all
// proxies on a request's way decide alike.
func randomOf(id string) (n uint64, ok bool) {
	if len(id) < 8 {
		return 0, false
	}
	n, err := strconv.ParseUint(id[:8], 16, 64)
	return n, err == nil
}
