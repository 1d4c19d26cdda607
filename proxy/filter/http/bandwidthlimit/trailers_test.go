package bandwidthlimit

import (
	"testing"
	"time"

	"github.com/weirproxy/weir/proxy/http"
)

// TestTrailers: they tell what took time, in milliseconds, under the
// configured prefix.
func TestTrailers(t *testing.T) {
	f := &filter{}
	f.names, f.trailers = newTrailerNames("x"), &http.HeaderMap{}
	f.request = &direction{took: 3 * time.Millisecond}
	f.response = &direction{took: 120*time.Millisecond + 7, delay: 100 * time.Millisecond}
	f.tell()
	want := map[string]string{
		"x-bandwidth-request-delay-ms": "3", "x-bandwidth-request-filter-delay-ms": "",
		"x-bandwidth-response-delay-ms": "120", "x-bandwidth-response-filter-delay-ms": "100",
	}
	for name, value := range want {
		if got, _ := f.trailers.GetName(name); got != value {
			t.Errorf("%s: %q, want %q", name, got, value)
		}
	}
}
