package http1

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// cutsOf makes ascending cut points of n bytes from a seed.
func cutsOf(n int, seed uint16) (cuts []int) {
	if n < 2 {
		return nil
	}
	x := uint32(seed) | 1
	for at := 0; len(cuts) < 64; {
		x = x*1664525 + 1013904223
		if at += 1 + int(x>>24)%(1+int(seed)%32); at >= n {
			break
		}
		cuts = append(cuts, at)
	}
	return cuts
}

var everything = Settings{AcceptHTTP10: true, DefaultHost: "d", EnableTrailers: true, AllowCustomMethods: true, AllowChunkedLength: true}

// FuzzRequests feeds any bytes to a server: the verdict must not depend on how
// they are cut, and requests written out again must be read as the same.
func FuzzRequests(f *testing.F) {
	f.Add([]byte(smallRequest), uint16(3), true)
	f.Add([]byte(chunkedRequest+smallRequest), uint16(7), false)
	f.Add([]byte("\r\nGET http://a:1?x HTTP/1.0\r\nConnection: TE, x, keep-alive\r\nTE: trailers\r\nX: \t1 \r\n\r\n"), uint16(2), true)
	f.Add([]byte("POST / HTTP/1.1\nHost: [::1]\nContent-Length: 3\n\nabcPUT /"), uint16(5), true)
	f.Add([]byte("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\nraw"), uint16(5), true)
	f.Add([]byte("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n"), uint16(9), true)
	l := newLoop(f)
	f.Fuzz(func(t *testing.T, raw []byte, seed uint16, lax bool) {
		set := &Settings{}
		if lax {
			set = &everything
		}
		conn, done := newConnOn(t, l)
		defer done()
		whole := feed(t, conn, raw, set, false)
		if cut := feed(t, conn, raw, set, seed%2 == 0, cutsOf(len(raw), seed)...); cut.verdict() != whole.verdict() {
			t.Errorf("cut:\n%s\nwhole:\n%s", cut.verdict(), whole.verdict())
		}
		again := feed(t, conn, rewrite(t, conn, whole), &everything, false)
		if again.plain() != whole.plain() {
			t.Errorf("written again:\n%s\nfirst:\n%s", again.plain(), whole.plain())
		}
	})
}

// rewrite sends the requests that m got through a client's encoder.
func rewrite(t *testing.T, conn *network.Connection, m *manager) []byte {
	var out []byte
	for _, x := range m.messages {
		u := &user{}
		enc := NewClient(conn, u, &everything).NewStream(u)
		h := x.header
		h.Remove(http.TransferEncoding)
		h.Remove(http.Connection)
		h.Remove(http.Upgrade)
		if err := enc.EncodeHeaders(h, false); err != nil {
			t.Fatalf("a request that was decoded can't be encoded: %v", err)
		}
		b := conn.Loop().NewBuffer()
		b.AppendString(x.body)
		if len(x.trailers) > 0 {
			enc.EncodeData(b, false)
			enc.EncodeTrailers(x.trailer)
		} else {
			enc.EncodeData(b, true)
		}
		out = append(out, conn.Out().Bytes()...)
		conn.Out().Reset()
	}
	return out
}

// plain is the requests without what concerns the hop they came by.
func (m *manager) plain() string {
	var b bytes.Buffer
	for _, x := range m.messages {
		fmt.Fprintf(&b, "%s %q %q\n", x.head, x.body, x.trailers)
		for l := range x.header.All {
			switch l.ID {
			case http.TransferEncoding, http.Connection, http.Upgrade, http.Scheme:
			default:
				fmt.Fprintf(&b, "%s: %q\n", l.Name, l.Value)
			}
		}
	}
	return b.String()
}

// FuzzResponses feeds any bytes to a client: the verdict must not depend on
// how they are cut.
func FuzzResponses(f *testing.F) {
	f.Add([]byte(smallResponse), uint8(0), uint16(3))
	f.Add([]byte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x\r\na\r\n0\r\nA: b\r\n\r\n"), uint8(1), uint16(4))
	f.Add([]byte("HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nraw"), uint8(3), uint16(4))
	f.Add([]byte("HTTP/1.0 200\n\nto the end"), uint8(4), uint16(4))
	l := newLoop(f)
	methods := []string{"GET", "HEAD", "CONNECT", "upgrade"}
	f.Fuzz(func(t *testing.T, raw []byte, how uint8, seed uint16) {
		method, eof := methods[how%4], how&4 != 0
		run := func(cuts ...int) string {
			return feedClient(t, l, raw, &everything, method, method != "GET", eof, cuts...)
		}
		if whole, cut := run(), run(cutsOf(len(raw), seed)...); whole != cut {
			t.Errorf("cut:\n%s\nwhole:\n%s", cut, whole)
		}
	})
}

// FuzzChunked compares the chunked decoder, fed in two pieces, with one that
// looks at a byte at a time.
func FuzzChunked(f *testing.F) {
	f.Add([]byte("5;a=b\r\nhello\r\n0\r\n\r\n"), uint8(4))
	f.Add([]byte("00000a\r\n0123456789\r\nffffffffffffff\r\nx"), uint8(9))
	pool := &network.Pool{}
	decode := func(pieces ...[]byte) (string, string, error) {
		var src, dst network.Buffer
		src.Init(pool)
		dst.Init(pool)
		var c chunked
		var left int64
		for _, p := range pieces {
			src.Append(p)
			if err := c.decode(&src, &dst, &left); err != nil {
				return "", "", err
			}
		}
		return string(dst.Bytes()), string(src.Bytes()), nil
	}
	f.Fuzz(func(t *testing.T, raw []byte, cut uint8) {
		var each [][]byte
		for i := range raw {
			each = append(each, raw[i:i+1])
		}
		at := min(int(cut), len(raw))
		body, rest, err := decode(raw[:at], raw[at:])
		body1, rest1, err1 := decode(each...)
		if body != body1 || rest != rest1 || (err == nil) != (err1 == nil) {
			t.Errorf("two pieces: %q %q %v, byte by byte: %q %q %v", body, rest, err, body1, rest1, err1)
		}
		if len(body) > len(raw) {
			t.Errorf("%d bytes of body from %d", len(body), len(raw))
		}
	})
}
