package http1

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// user stands in for a pool and the router: it sends one request and records
// the response.
type user struct {
	h, trl  http.HeaderMap
	message message
	interim []string
	headers bool
	ended   bool // the response came whole
	reset   http.ResetReason
	ends    int  // OnStreamEnd calls
	reuse   bool // and what the last one said
}

func (u *user) OnGoAway(uint32)                            {}
func (u *user) OnMaxStreams(uint32)                        {}
func (u *user) OnStreamEnd(reusable bool)                  { u.ends++; u.reuse = reusable }
func (u *user) OnAboveWriteBufferHighWatermark()           {}
func (u *user) OnBelowWriteBufferLowWatermark()            {}
func (u *user) OnResetStream(r http.ResetReason, _ string) { u.reset = r }
func (u *user) ResponseHeaders() *http.HeaderMap           { return &u.h }
func (u *user) ResponseTrailers() *http.HeaderMap          { return &u.trl }

func (u *user) Decode1xxHeaders() {
	u.interim = append(u.interim, strings.Join(append([]string{strings.Clone(u.h.Get(http.Status))}, fields(&u.h)...), " | "))
}

func (u *user) DecodeHeaders(end bool) {
	u.headers = true
	u.message.head, u.message.fields = strings.Clone(u.h.Get(http.Status)), fields(&u.h)
	u.ended = u.ended || end
}

func (u *user) DecodeData(b *network.Buffer, end bool) {
	u.message.body += string(b.Bytes())
	u.ended = u.ended || end
}

func (u *user) DecodeTrailers(t *http.HeaderMap) {
	u.message.trailers = fields(t)
	u.ended = true
}

func (u *user) verdict(details string) string {
	var b strings.Builder
	for _, i := range u.interim {
		fmt.Fprintln(&b, i)
	}
	if u.reset != http.ResetNone {
		u.message.body = "" // how much of it came before the fault depends on the cut
	}
	if u.headers {
		fmt.Fprintln(&b, &u.message)
	}
	switch {
	case u.reset != http.ResetNone:
		fmt.Fprintln(&b, "reset", u.reset, details)
	case u.ends > 0 && u.reuse:
		b.WriteString("reusable\n")
	case u.ends > 0:
		b.WriteString("done\n")
	case u.ended:
		b.WriteString("ended\n")
	default:
		b.WriteString("incomplete\n")
	}
	return b.String()
}

// feedClient sends a request through a new client codec and gives it raw.
func feedClient(t testing.TB, l *network.Loop, raw []byte, set *Settings, method string, open, eof bool, cuts ...int) string {
	t.Helper()
	conn, done := newConnOn(t, l)
	defer done()
	u := &user{}
	codec := NewClient(conn, u, set)
	enc := codec.NewStream(u)
	enc.SetCallbacks(u)
	var h http.HeaderMap
	h.Add(http.Authority, "h:1")
	if method == "upgrade" {
		method = "GET"
		h.Add(http.Connection, "upgrade")
		h.Add(http.Upgrade, "websocket")
	}
	h.Add(http.Method, method)
	if method != "CONNECT" {
		h.Add(http.Path, "/")
	}
	if err := enc.EncodeHeaders(&h, !open); err != nil {
		t.Fatal(err)
	}
	in := conn.Loop().NewBuffer()
	var err error
	at := 0
	for _, c := range append(cuts, len(raw)) {
		in.Append(raw[at:c])
		at = c
		if in.Len() > 0 {
			if err = codec.Dispatch(in); err != nil {
				break
			}
		}
		if u.ends > 0 && in.Len() > 0 {
			t.Errorf("%d bytes left after the stream's end", in.Len())
		}
	}
	if eof && err == nil {
		err = codec.Dispatch(conn.Loop().NewBuffer())
	}
	if u.ends > 1 {
		t.Errorf("told %d times that the stream has ended", u.ends)
	}
	if err != nil && conn.Open() {
		t.Errorf("the connection stays open after %v", err)
	}
	// Bytes behind a response end the reuse, however late they come.
	if u.reuse && err != nil {
		u.reuse = false
	}
	return u.verdict(enc.Details())
}

// TestResponses holds the client to testdata/responses.txt, however the bytes
// are cut.
func TestResponses(t *testing.T) {
	readGolden(t, "testdata/responses.txt").run(t, func(t *testing.T, p part, raw []byte) string {
		method, open, eof := "GET", false, false
		var options []string
		for _, o := range p.options {
			switch o {
			case "HEAD", "POST", "CONNECT", "upgrade":
				method = o
			case "open":
				open = true
			case "eof":
				eof = true
			default:
				options = append(options, o)
			}
		}
		set, l := settingsOf(t, options), newLoop(t)
		return everyCut(t, raw, func(cuts ...int) string { return feedClient(t, l, raw, set, method, open, eof, cuts...) })
	})
}

// closer empties the connection's buffer, as closing the connection does,
// before it looks at the data.
type closer struct {
	*user
	in *network.Buffer
}

func (c closer) DecodeData(b *network.Buffer, end bool) {
	c.in.Reset()
	c.user.DecodeData(b, end)
}

// TestDataOutlivesConnection has a decoder that closes the connection and then
// passes the data on, as a router does with an early response.
func TestDataOutlivesConnection(t *testing.T) {
	for _, head := range []string{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"} {
		conn, u := newConn(t), &user{}
		codec := NewClient(conn, u, &Settings{})
		in := conn.Loop().NewBuffer()
		var h http.HeaderMap
		request(&h)
		if err := codec.NewStream(closer{u, in}).EncodeHeaders(&h, true); err != nil {
			t.Fatal(err)
		}
		in.AppendString(head + "no")
		if err := codec.Dispatch(in); err != nil || u.message.body != "no" {
			t.Errorf("%q, %v", u.message.body, err)
		}
	}
}
