package callstats

import (
	"strconv"

	"github.com/weirproxy/weir/proxy/stats"
)

// Stats are one method's, or those of all calls to a cluster, on one worker.
type Stats struct {
	Success              stats.Counter   `stat:"success,omitempty"`
	Failure              stats.Counter   `stat:"failure,omitempty"`
	Total                stats.Counter   `stat:"total,omitempty"`
	RequestMessageCount  stats.Counter   `stat:"request_message_count,omitempty"`
	ResponseMessageCount stats.Counter   `stat:"response_message_count,omitempty"`
	UpstreamRqTime       stats.Histogram `stat:"upstream_rq_time,omitempty"` // ms

	Status0  stats.Counter `stat:"0,omitempty"`
	Status1  stats.Counter `stat:"1,omitempty"`
	Status2  stats.Counter `stat:"2,omitempty"`
	Status3  stats.Counter `stat:"3,omitempty"`
	Status4  stats.Counter `stat:"4,omitempty"`
	Status5  stats.Counter `stat:"5,omitempty"`
	Status6  stats.Counter `stat:"6,omitempty"`
	Status7  stats.Counter `stat:"7,omitempty"`
	Status8  stats.Counter `stat:"8,omitempty"`
	Status9  stats.Counter `stat:"9,omitempty"`
	Status10 stats.Counter `stat:"10,omitempty"`
	Status11 stats.Counter `stat:"11,omitempty"`
	Status12 stats.Counter `stat:"12,omitempty"`
	Status13 stats.Counter `stat:"13,omitempty"`
	Status14 stats.Counter `stat:"14,omitempty"`
	Status15 stats.Counter `stat:"15,omitempty"`
	Status16 stats.Counter `stat:"16,omitempty"`
}

// Ended counts a call that ended with a grpc-status; "" is none and counts
// nothing. A status that gRPC does not have counts as a failure only.
func (s *Stats) Ended(status string) {
	if s == nil || status == "" {
		return
	}
	if status == "0" {
		s.Success.Inc()
	} else {
		s.Failure.Inc()
	}
	s.Total.Inc()
	codes := [...]*stats.Counter{&s.Status0, &s.Status1, &s.Status2, &s.Status3, &s.Status4, &s.Status5, &s.Status6, &s.Status7, &s.Status8,
		&s.Status9, &s.Status10, &s.Status11, &s.Status12, &s.Status13, &s.Status14, &s.Status15, &s.Status16}
	if n, err := strconv.ParseUint(status, 10, 8); err == nil && n < uint64(len(codes)) {
		codes[n].Inc()
	}
}
