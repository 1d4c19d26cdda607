package bandwidthlimit

import (
	"time"
)

// trailerNames are those of the response trailers that tell how long requests
// and responses took, and how much of it they waited here.
type trailerNames struct{ request, response, requestDelay, responseDelay string }

func newTrailerNames(prefix string) *trailerNames {
	if prefix != "" {
		prefix += "-"
	}
	return &trailerNames{
		request: prefix + "bandwidth-request-delay-ms", response: prefix + "bandwidth-response-delay-ms",
		requestDelay: prefix + "bandwidth-request-filter-delay-ms", responseDelay: prefix + "bandwidth-response-filter-delay-ms",
	}
}

// tell writes the response's trailers. What took no time is left out.
func (f *filter) tell() {
	if f.trailers == nil {
		return
	}
	if f.request != nil {
		f.tellTime(f.names.request, f.request.took)
		f.tellTime(f.names.requestDelay, f.request.delay)
	}
	f.tellTime(f.names.response, f.response.took)
	f.tellTime(f.names.responseDelay, f.response.delay)
}

func (f *filter) tellTime(name string, d time.Duration) {
	if ms := int64(d / time.Millisecond); ms > 0 {
		f.trailers.SetName(name, f.trailers.Int(ms))
	}
}
