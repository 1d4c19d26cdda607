package http2

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

func newLoop(t testing.TB) *network.Loop {
	t.Helper()
	l, err := network.NewLoop("test", 0)
	if err != nil {
		t.Fatal(err)
	}
	l.Exit() // Run then does what was posted and put off, and returns
	t.Cleanup(l.Close)
	return l
}

// newConn makes a connection over one end of a socket pair. Its loop does not
// run: what a codec writes stays in Out, where tests look at it.
func newConn(t testing.TB, l *network.Loop) (c *network.Connection, done func()) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	c, err = network.NewServerConnection(l, fds[0], network.Address{Path: "@a"}, network.Address{Path: "@b"}, network.Options{BufferLimit: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return c, func() {
		c.Close(network.NoFlush)
		unix.Close(fds[1])
	}
}

// wire builds the frames that a peer sends.
type wire struct {
	bytes.Buffer
	*http2.Framer
	enc   *hpack.Encoder
	block bytes.Buffer
}

func newWire() *wire {
	w := &wire{}
	w.Framer = http2.NewFramer(&w.Buffer, nil)
	w.AllowIllegalWrites, w.AllowIllegalReads = true, true
	w.enc = hpack.NewEncoder(&w.block)
	return w
}

// fields encodes "name: value" lines; the name ends at the first ": ".
func (w *wire) fields(lines ...string) []byte {
	w.block.Reset()
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ": ")
		w.enc.WriteField(hpack.HeaderField{Name: name, Value: value})
	}
	return w.block.Bytes()
}

// head sends a header section in one frame.
func (w *wire) head(id uint32, end bool, lines ...string) {
	w.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndStream: end, EndHeaders: true, BlockFragment: w.fields(lines...)})
}

var get = []string{":method: GET", ":scheme: http", ":authority: a", ":path: /x"}
var post = []string{":method: POST", ":scheme: http", ":authority: a", ":path: /x"}

func with(base []string, more ...string) []string { return append(slices.Clone(base), more...) }

// frames reads back what a codec wrote, one line each.
func frames(t testing.TB, conn *network.Connection) (out []string) {
	t.Helper()
	raw := conn.Out().Bytes()
	conn.Out().Reset()
	raw = bytes.TrimPrefix(raw, []byte(preface))
	fr := http2.NewFramer(io.Discard, bytes.NewReader(raw))
	fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	for {
		f, err := fr.ReadFrame()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatalf("weir wrote what can't be read: %v", err)
		}
		out = append(out, frameText(f))
	}
}

func frameText(f http2.Frame) string {
	end := func(yes bool) string {
		if yes {
			return " end"
		}
		return ""
	}
	id := f.Header().StreamID
	switch f := f.(type) {
	case *http2.MetaHeadersFrame:
		var lines []string
		for _, x := range f.Fields {
			lines = append(lines, x.Name+"="+x.Value)
		}
		return fmt.Sprintf("HEADERS %d%s %s", id, end(f.StreamEnded()), strings.Join(lines, " "))
	case *http2.DataFrame:
		data := string(f.Data())
		if len(data) > 20 {
			data = fmt.Sprint(len(data), " bytes")
		}
		return fmt.Sprintf("DATA %d%s %s", id, end(f.StreamEnded()), data)
	case *http2.RSTStreamFrame:
		return fmt.Sprintf("RST %d %v", id, f.ErrCode)
	case *http2.GoAwayFrame:
		return fmt.Sprintf("GOAWAY %d %v", f.LastStreamID, f.ErrCode)
	case *http2.SettingsFrame:
		if f.IsAck() {
			return "SETTINGS ack"
		}
		return "SETTINGS"
	case *http2.PingFrame:
		return fmt.Sprintf("PING ack=%v", f.IsAck())
	case *http2.WindowUpdateFrame:
		return fmt.Sprintf("WINDOW_UPDATE %d %d", id, f.Increment)
	}
	return f.Header().String()
}

// user stands in for the connection manager: it records what its streams get
// and answers each when it has come whole.
type user struct {
	l       *network.Loop
	log     []string
	streams []*exchange
	answer  func(*exchange) // nil: 200 without a body
	onHead  func(*exchange)
	goAways int
}

// exchange is one of a user's streams.
type exchange struct {
	u                *user
	enc              http.ResponseEncoder
	req, trl         http.HeaderMap
	res, resTrailers http.HeaderMap
	body             string
	above, below     int
	reset            http.ResetReason
	done             bool
}

func (u *user) NewStream(enc http.ResponseEncoder) http.RequestDecoder {
	x := &exchange{u: u, enc: enc}
	u.streams = append(u.streams, x)
	enc.SetCallbacks(x)
	return x
}

func (u *user) OnGoAway(uint32)                        { u.goAways++ }
func (u *user) buffer(s string) *network.Buffer        { b := u.l.NewBuffer(); b.AppendString(s); return b }
func (x *exchange) RequestHeaders() *http.HeaderMap    { return &x.req }
func (x *exchange) RequestTrailers() *http.HeaderMap   { return &x.trl }
func (x *exchange) SendLocalReply(int, string, string) {}
func (x *exchange) OnAboveWriteBufferHighWatermark()   { x.above++ }
func (x *exchange) OnBelowWriteBufferLowWatermark()    { x.below++ }
func (x *exchange) OnResetStream(r http.ResetReason, _ string) {
	x.reset = r
	x.u.log = append(x.u.log, "reset: "+r.String()+" "+x.enc.Details())
}

func (x *exchange) DecodeHeaders(end bool) {
	if x.u.onHead != nil {
		x.u.onHead(x)
	}
	if end {
		x.complete()
	}
}

func (x *exchange) DecodeData(b *network.Buffer, end bool) {
	x.body += string(b.Bytes())
	if end {
		x.complete()
	}
}

func (x *exchange) DecodeTrailers(*http.HeaderMap) { x.complete() }

func (x *exchange) complete() {
	x.done = true
	x.u.log = append(x.u.log, x.String())
	if x.u.answer != nil {
		x.u.answer(x)
		return
	}
	x.respond("200", "")
}

// respond answers whole.
func (x *exchange) respond(status, body string) {
	x.res.Add(http.Status, status)
	x.enc.EncodeHeaders(&x.res, body == "")
	if body != "" {
		x.enc.EncodeData(x.u.buffer(body), true)
	}
}

func lines(h *http.HeaderMap) (out []string) {
	for l := range h.All {
		out = append(out, l.Name+"="+l.Value)
	}
	return out
}

func (x *exchange) String() string {
	s := strings.Join(lines(&x.req), " ")
	if x.body != "" {
		s += fmt.Sprintf(" | %d bytes", len(x.body))
	}
	if x.trl.Len() > 0 {
		s += " | " + strings.Join(lines(&x.trl), " ")
	}
	return s
}

// rig is a server codec and its peer's bytes.
type rig struct {
	t     testing.TB
	l     *network.Loop
	conn  *network.Connection
	set   Settings
	u     *user
	codec http.ServerConnection
	in    *network.Buffer
	w     *wire
	stats Stats
	err   error
}

// newServerRig makes a server whose client has sent preface and SETTINGS.
func newServerRig(t testing.TB, change func(*Settings)) *rig {
	t.Helper()
	r := &rig{t: t, l: newLoop(t), set: Defaults(), w: newWire()}
	if change != nil {
		change(&r.set)
	}
	r.set.Counters = r.stats.Counters()
	var done func()
	r.conn, done = newConn(t, r.l)
	t.Cleanup(done)
	r.u = &user{l: r.l}
	r.codec = NewServer(r.conn, r.u, &r.set)
	r.in = r.l.NewBuffer()
	r.w.WriteString(preface)
	r.w.WriteSettings()
	return r
}

// send gives the codec what the peer has built, cut where cuts tells.
func (r *rig) send(cuts ...int) {
	raw := bytes.Clone(r.w.Buffer.Bytes())
	r.w.Buffer.Reset()
	at := 0
	for _, c := range append(cuts, len(raw)) {
		if c <= at || c > len(raw) {
			continue
		}
		r.in.Append(raw[at:c])
		at = c
		if r.err == nil {
			r.err = r.codec.Dispatch(r.in)
		}
	}
}

// turn does what was posted and put off.
func (r *rig) turn() { r.l.Run() }

// replies are the frames written since, without the opening ones.
func (r *rig) replies() []string {
	r.t.Helper()
	return slices.DeleteFunc(frames(r.t, r.conn), func(s string) bool {
		return strings.HasPrefix(s, "SETTINGS") || strings.HasPrefix(s, "WINDOW_UPDATE 0 25")
	})
}

func (r *rig) expect(want ...string) {
	r.t.Helper()
	if got := r.replies(); !slices.Equal(got, want) {
		r.t.Errorf("frames:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}
