package manager

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/http/http1"
	"github.com/weirproxy/weir/proxy/http/http2"
	"github.com/weirproxy/weir/proxy/network"
)

// codecType is HttpConnectionManager.codec_type.
type codecType uint8

const (
	codecAuto codecType = iota
	codecHTTP1
	codecHTTP2
)

// chooseCodec makes or reuses the codec of a connection that has received b.
// It returns false when more bytes have to tell which.
func (m *ConnManager) chooseCodec(b *network.Buffer) bool {
	if m.protocol == 0 {
		p := m.w.cfg.sniff(m.conn, b)
		if p == 0 {
			return false
		}
		m.protocol = p
		m.w.stats.cxProtocol(p)
	}
	switch w := m.w; {
	case m.protocol == http.HTTP2:
		m.conn.SpendInput()
		m.codec = http2.NewServer(m.conn, m, w.settings2())
	case len(w.codecs) > 0:
		n := len(w.codecs) - 1
		c := w.codecs[n]
		w.codecs = w.codecs[:n]
		c.Attach(m.conn, m)
		m.codec = c
	default:
		m.codec = http1.NewServer(m.conn, m, &w.http1)
	}
	return true
}

// preface is how HTTP/2 begins. No HTTP/1 method starts so.
const preface = "PRI * HTTP/2"

// sniff tells the protocol of a connection whose first bytes are b: what was
// configured, what ALPN has negotiated, or what the bytes look like; 0 when
// they do not tell yet.
func (c *Config) sniff(conn *network.Connection, b *network.Buffer) http.ProtocolVersion {
	switch c.codec {
	case codecHTTP1:
		return http.HTTP11
	case codecHTTP2:
		return http.HTTP2
	}
	if conn.Info != nil {
		switch conn.Info.NextProtocol {
		case "h2":
			return http.HTTP2
		case "http/1.1", "http/1.0":
			return http.HTTP11
		}
	}
	var got [len(preface)]byte
	n := b.CopyTo(got[:])
	switch {
	case string(got[:n]) != preface[:n]:
		return http.HTTP11
	case n < len(preface):
		return 0
	}
	return http.HTTP2
}
