package httpinspector

import (
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/stats"
)

// Stats are at http_inspector.
type Stats struct {
	HTTP10Found stats.Counter `stat:"http10_found"`
	HTTP11Found stats.Counter `stat:"http11_found"`
	HTTP2Found  stats.Counter `stat:"http2_found"`
	NotFound    stats.Counter `stat:"http_not_found"`
	ReadError   stats.Counter `stat:"read_error"`
}

// maxLine bounds the request line in bytes, as Envoy does.
const maxLine = 64 << 10

type filter struct{ stats *stats.Group[Stats] }

// AsksForData implements listener.DataFilter.
func (f *filter) AsksForData() {}

// Inspect implements listener.Filter.
func (f *filter) Inspect(s *listener.Socket) listener.Status {
	if s.Transport() == "tls" {
		return listener.Continue
	}
	p := s.Peek(maxLine)
	st := f.stats.For(s.Loop().Worker)
	protocol := ""
	switch detect(p) {
	case needMore:
		if len(p) < maxLine {
			return listener.WaitForData
		}
	case http10:
		st.HTTP10Found.Inc()
		protocol = "http/1.0"
	case http11:
		st.HTTP11Found.Inc()
		protocol = "http/1.1"
	case http2:
		st.HTTP2Found.Inc()
		protocol = "h2c"
	}
	if protocol == "" {
		st.NotFound.Inc()
		return listener.Continue
	}
	s.Info().ALPN = []string{protocol}
	return listener.Continue
}
