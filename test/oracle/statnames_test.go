//go:build oracle

package oracle

import (
	"regexp"
	"slices"
	"strings"
)

// lacking are the statistics that one of the two has and the other not, on
// purpose, and why.
var lacking = map[string]string{
	`http2[._](ng|og)http2_`: "counts connections by the library that speaks HTTP/2",
	`http2[._](header_count|header_list_size|cookie_count|cookie_size|cookies_total_bytes_too_large)`: "nothing is recorded unless a runtime feature says so",
	`reset_high_memory_stream`:                    "refused",
	`filesystem[._]lines_dropped`:                 "weir's own: Envoy waits, or grows, when a disk is full",
	`listener[._]admin.*extension_config_missing`: "the admin pages have no filters",
}

// statNames are the names of all statistics but the lacking ones, and the
// samples of the Prometheus page with their labels.
func (p *proxy) statNames(clean cleaner) (names []string, err error) {
	_, text, err := p.page("/stats")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(text) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), ": ")
		names = append(names, clean.text(name))
	}
	_, text, err = p.page("/stats/prometheus")
	for line := range strings.Lines(text) {
		if i := strings.LastIndexByte(line, ' '); !strings.HasPrefix(line, "# HELP") && !strings.Contains(line, "_bucket{") && i > 0 {
			if strings.HasPrefix(line, "# TYPE") {
				i = len(line)
			}
			names = append(names, clean.text(strings.TrimSpace(line[:i])))
		}
	}
	names = slices.DeleteFunc(names, func(name string) bool {
		for pattern := range lacking {
			if regexp.MustCompile(pattern).MatchString(name) {
				return true
			}
		}
		return false
	})
	slices.Sort(names)
	return slices.Compact(names), err
}
