package http2

import (
	"bytes"
	"testing"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// quick is a user that answers every request at once, without memory of its
// own.
type quick struct {
	enc      http.ResponseEncoder
	req, trl http.HeaderMap
	res      http.HeaderMap
}

func (q *quick) NewStream(enc http.ResponseEncoder) http.RequestDecoder {
	q.enc = enc
	q.req.Reset()
	return q
}
func (q *quick) OnGoAway(uint32)                    {}
func (q *quick) RequestHeaders() *http.HeaderMap    { return &q.req }
func (q *quick) RequestTrailers() *http.HeaderMap   { return &q.trl }
func (q *quick) SendLocalReply(int, string, string) {}
func (q *quick) DecodeTrailers(*http.HeaderMap)     {}
func (q *quick) DecodeData(*network.Buffer, bool)   {}
func (q *quick) DecodeHeaders(bool) {
	q.res.Reset()
	q.res.Add(http.Status, "200")
	q.res.Add(http.Server, "weir")
	q.res.Add(http.ContentType, "text/plain")
	q.enc.EncodeHeaders(&q.res, true)
}

// BenchmarkRequest is one request and its response on a connection that has
// seen them before.
func BenchmarkRequest(b *testing.B) {
	r := newServerRig(b, nil)
	q := &quick{}
	codec := NewServer(r.conn, q, &r.set)
	r.in.Append(r.w.Buffer.Bytes())
	if err := codec.Dispatch(r.in); err != nil {
		b.Fatal(err)
	}
	var raw []byte
	id := uint32(1)
	request := func() {
		r.w.Buffer.Reset()
		r.w.head(id, true, with(get, "user-agent: Mozilla/5.0 (X11; Linux x86_64)", "accept: application/json, text/plain, */*",
			"accept-encoding: gzip, deflate, br", "cookie: session=0123456789abcdef0123456789abcdef; theme=dark")...)
		raw = bytes.Clone(r.w.Buffer.Bytes())
	}
	request()
	r.in.Append(raw)
	codec.Dispatch(r.in)
	request() // all indexed by now
	b.ReportAllocs()
	for b.Loop() {
		id += 2
		raw[5], raw[6], raw[7], raw[8] = byte(id>>24), byte(id>>16), byte(id>>8), byte(id)
		r.in.Append(raw)
		if err := codec.Dispatch(r.in); err != nil {
			b.Fatal(err)
		}
		r.conn.Out().Reset()
		r.turn()
	}
}
