package compressor

import (
	"slices"
	"strconv"
	"strings"

	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
)

// direction is a CommonDirectionConfig compiled.
type direction struct {
	configured bool
	enabled    fraction.Flag
	minLength  uint64 // bytes
	types      []string
	matchers   []matcher.String
}

// defaultTypes are compressed when the configuration names none.
var defaultTypes = []string{"application/javascript", "application/json", "application/xhtml+xml", "image/svg+xml", "text/css", "text/html", "text/plain", "text/xml"}

func (d *direction) on() bool { return d.configured && d.enabled.On() }

// longEnough tells whether a body may be worth it; one without a known length
// is.
func (d *direction) longEnough(h *http.HeaderMap, st *DirectionStats) bool {
	if !h.Has(http.ContentLength) {
		return true
	}
	n, err := strconv.ParseUint(h.Get(http.ContentLength), 10, 64)
	if err != nil || n < d.minLength {
		st.TooSmall.Inc()
		return false
	}
	return true
}

// takesType tells whether bodies of the content type are compressed; those
// without one are. Matchers take the place of the list.
func (d *direction) takesType(h *http.HeaderMap) bool {
	if !h.Has(http.ContentType) {
		return true
	}
	value, _, _ := strings.Cut(h.Get(http.ContentType), ";")
	value = strings.TrimSpace(value)
	if slices.ContainsFunc(d.types, func(t string) bool { return strings.EqualFold(t, value) }) {
		return true
	}
	for i := range d.matchers {
		if d.matchers[i].Match(value) {
			return true
		}
	}
	return false
}

// plainTransfer tells that no transfer-coding compresses already.
func plainTransfer(h *http.HeaderMap) bool {
	for coding := range strings.SplitSeq(h.Get(http.TransferEncoding), ",") {
		switch strings.ToLower(strings.TrimSpace(coding)) {
		case "gzip", "deflate", "br", "zstd":
			return false
		}
	}
	return true
}

// noTransform tells whether cache-control forbids it (RFC 9111 section
// 5.2.2.6).
func noTransform(h *http.HeaderMap) bool {
	if !h.Has(http.CacheControl) {
		return false
	}
	for d := range strings.SplitSeq(h.Get(http.CacheControl), ",") {
		if strings.EqualFold(strings.TrimSpace(d), "no-transform") {
			return true
		}
	}
	return false
}
