package tlsinspector

import (
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
)

// Stats are at tls_inspector.
type Stats struct {
	TLSFound       stats.Counter   `stat:"tls_found"`
	TLSNotFound    stats.Counter   `stat:"tls_not_found"`
	ALPNFound      stats.Counter   `stat:"alpn_found"`
	ALPNNotFound   stats.Counter   `stat:"alpn_not_found"`
	SNIFound       stats.Counter   `stat:"sni_found"`
	SNINotFound    stats.Counter   `stat:"sni_not_found"`
	TooLarge       stats.Counter   `stat:"client_hello_too_large"`
	BytesProcessed stats.Histogram `stat:"bytes_processed"`
}

type filter struct {
	max      int  // bytes of a ClientHello with its record headers
	strict   bool // close what is not TLS
	ja3, ja4 bool // fingerprints that are wanted
	stats    *stats.Group[Stats]
}

// AsksForData implements listener.DataFilter.
func (f *filter) AsksForData() {}

// Inspect implements listener.Filter.
func (f *filter) Inspect(s *listener.Socket) listener.Status {
	p := s.Peek(f.max)
	h, err := parse(p)
	st := f.stats.For(s.Loop().Worker)
	switch err {
	case nil:
	case errIncomplete:
		if len(p) < f.max {
			return listener.WaitForData
		}
		st.TooLarge.Inc()
		return listener.Close
	default:
		st.BytesProcessed.Record(uint64(len(p)))
		st.TLSNotFound.Inc()
		s.Info().NotTLS = notTLS(p)
		if f.strict {
			return listener.Close
		}
		return listener.Continue
	}
	st.BytesProcessed.Record(uint64(len(p)))
	st.TLSFound.Inc()
	info := s.Info()
	info.TransportProtocol = "tls"
	if f.ja3 || f.ja4 {
		f.fingerprint(p, info)
	}
	if h.serverName != "" {
		st.SNIFound.Inc()
		info.ServerName = h.serverName
	} else {
		st.SNINotFound.Inc()
	}
	if len(h.protocols) > 0 {
		st.ALPNFound.Inc()
		info.ALPN = h.protocols
	} else {
		st.ALPNNotFound.Inc()
	}
	return listener.Continue
}

// fingerprint adds what is wanted of the hello in p, which is here whole.
func (f *filter) fingerprint(p []byte, info *network.Info) {
	msg, err := assemble(p)
	if err != nil {
		return
	}
	print := fingerprintOf(msg)
	if f.ja3 {
		info.JA3 = print.ja3()
	}
	if f.ja4 {
		info.JA4 = print.ja4()
	}
}
