package compressor

import (
	"slices"
	"strconv"
	"strings"

	"github.com/weirproxy/weir/proxy/http"
)

// choice is what Accept-Encoding comes to.
type choice uint8

const (
	notValid choice = iota // nothing that it accepts is offered
	identity               // it prefers no compression
	wildcard               // it takes anything: the first filter's
	named                  // it names one
)

// chain is the compressor filters of a stream that may compress its response,
// in the chain's order. It is kept among the stream's filter state.
type chain struct{ members []*filter }

const chainKey = "envoy.filters.http.compressor"

// choose finds which content-coding a response gets (RFC 9110 section
// 12.5.3): the accepted one with the highest weight among those that the
// chain's filters offer for its type; the first of equals, or that of the last
// filter with choose_first.
func (c *chain) choose(accept string, response *http.HeaderMap) (encoding string, how choice) {
	offered, preferred := "", "" // the first filter's; that of choose_first
	var codings []string
	for _, f := range c.members {
		if !f.response.takesType(response) {
			continue
		}
		coding := f.lib().Encoding
		codings = append(codings, coding)
		if offered == "" {
			offered = coding
		}
		if f.chooseFirst {
			preferred = coding
		}
	}
	best, weight := "", 0.0
	for item := range strings.SplitSeq(accept, ",") {
		coding, q, ok := parseCoding(item)
		if !ok || coding != "identity" && coding != "*" && !slices.Contains(codings, coding) {
			continue
		}
		if q > weight || q == weight && q > 0 && coding == preferred {
			best, weight = coding, q
		}
	}
	switch {
	case weight == 0:
		return "identity", notValid
	case best == "identity":
		return best, identity
	case best == "*":
		return offered, wildcard
	}
	return best, named
}

// parseCoding reads "gzip;q=0.5". ok is false when there is no coding or its
// weight is not a number.
func parseCoding(item string) (coding string, q float64, ok bool) {
	coding, param, weighted := strings.Cut(item, ";")
	coding = strings.TrimSpace(coding)
	if coding == "" {
		return "", 0, false
	}
	if !weighted {
		return coding, 1, true
	}
	name, value, found := strings.Cut(param, "=")
	if !found || !strings.EqualFold(strings.TrimSpace(name), "q") {
		return coding, 1, true
	}
	q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	return coding, q, err == nil
}
