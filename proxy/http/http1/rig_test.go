package http1

import (
	"fmt"
	"strings"
	"testing"

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
	t.Cleanup(l.Close)
	return l
}

// newConn makes a connection over one end of a socket pair. Its loop does not
// run: what a codec writes stays in Out, where tests look at it.
func newConn(t testing.TB) *network.Connection {
	t.Helper()
	c, done := newConnOn(t, newLoop(t))
	t.Cleanup(done)
	return c
}

func newConnOn(t testing.TB, l *network.Loop) (c *network.Connection, done func()) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	c, err = network.NewServerConnection(l, fds[0], network.Address{Path: "@a"}, network.Address{Path: "@b"}, network.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c, func() {
		c.Close(network.NoFlush)
		unix.Close(fds[1])
	}
}

// message is what a decoder was given.
type message struct {
	head     string // "GET a.test /x" or "200"
	fields   []string
	body     string
	trailers []string
	done     bool

	header, trailer *http.HeaderMap
}

func (m *message) String() string {
	s := m.head
	for _, f := range m.fields {
		s += " | " + short(f)
	}
	if m.body != "" {
		s += " | body " + short(m.body)
	}
	if len(m.trailers) > 0 {
		s += " | trailers " + short(strings.Join(m.trailers, ", "))
	}
	return s
}

// short keeps what is too long to read by its length.
func short(s string) string {
	if len(s) > 100 {
		return fmt.Sprintf("%q and so on, %d bytes", s[:20], len(s))
	}
	q := fmt.Sprintf("%q", s)
	return q[1 : len(q)-1]
}

func fields(h *http.HeaderMap) (out []string) {
	for l := range h.All {
		if !strings.HasPrefix(l.Name, ":") || l.ID == http.Authority {
			out = append(out, l.Name+": "+l.Value)
		}
	}
	return out
}

// manager stands in for the connection manager: it records requests and
// answers each when it has come whole, at once or when told to.
type manager struct {
	t        testing.TB
	messages []*message
	cur      *message
	enc      http.ResponseEncoder
	req, trl *http.HeaderMap
	res      http.HeaderMap
	status   int // of the local reply, if any
	details  string
	later    bool // answer when answer is called
	pending  bool
	begun    int
	streamed bool // the request's head was delivered
	// respond, when set, replaces the usual answer.
	respond func(http.ResponseEncoder)
	onHead  func(*http.HeaderMap)
}

func (m *manager) NewStream(enc http.ResponseEncoder) http.RequestDecoder {
	if m.cur != nil && !m.cur.done {
		m.t.Error("a stream begins while another is under way")
	}
	m.begun++
	m.req, m.trl = &http.HeaderMap{}, &http.HeaderMap{}
	m.enc, m.cur, m.streamed = enc, &message{header: m.req, trailer: m.trl}, false
	enc.SetCallbacks(m)
	return m
}

func (m *manager) OnResetStream(http.ResetReason, string) {}
func (m *manager) OnAboveWriteBufferHighWatermark()       {}
func (m *manager) OnBelowWriteBufferLowWatermark()        {}
func (m *manager) OnGoAway(uint32)                        {}
func (m *manager) RequestHeaders() *http.HeaderMap        { return m.req }
func (m *manager) RequestTrailers() *http.HeaderMap       { return m.trl }

func (m *manager) DecodeHeaders(end bool) {
	h := m.req
	m.streamed = true
	m.cur.head = h.Get(http.Method) + " " + short(h.Get(http.Path))
	m.cur.fields = fields(h)
	if m.onHead != nil {
		m.onHead(h)
	}
	if end {
		m.end()
	}
}

func (m *manager) DecodeData(b *network.Buffer, end bool) {
	m.cur.body += string(b.Bytes())
	if end {
		m.end()
	}
}

func (m *manager) DecodeTrailers(t *http.HeaderMap) {
	m.cur.trailers = fields(t)
	m.end()
}

func (m *manager) end() {
	m.cur.done = true
	m.messages = append(m.messages, m.cur)
	m.pending = true
	if !m.later {
		m.answer()
	}
}

func (m *manager) answer() {
	m.pending = false
	if m.respond != nil {
		m.respond(m.enc)
		return
	}
	m.res.Reset()
	m.res.Add(http.Status, "200")
	m.res.Add(http.ContentLength, "0")
	m.enc.EncodeHeaders(&m.res, true)
}

func (m *manager) SendLocalReply(code int, body, details string) {
	m.status, m.details = code, details
	if m.cur.done {
		m.t.Error("a local reply to a complete request")
	}
	m.res.Reset()
	m.res.Add(http.Status, fmt.Sprint(code))
	m.res.SetInt(http.ContentLength, int64(len(body)))
	m.enc.EncodeHeaders(&m.res, body == "")
	if body != "" {
		b := network.Buffer{}
		b.Init(&network.Pool{})
		b.AppendString(body)
		m.enc.EncodeData(&b, true)
	}
}

// feed gives raw to a new server codec, cut where cuts tells, and returns what
// came of it.
func feed(t testing.TB, conn *network.Connection, raw []byte, set *Settings, later bool, cuts ...int) *manager {
	t.Helper()
	m := &manager{t: t, later: later}
	codec := NewServer(conn, m, set)
	in := conn.Loop().NewBuffer()
	var err error
	dispatch := func() {
		for err == nil {
			if in.Len() > 0 {
				err = codec.Dispatch(in)
			}
			if !m.pending || err != nil {
				break
			}
			m.answer()
		}
	}
	at := 0
	for _, c := range append(cuts, len(raw)) {
		in.Append(raw[at:c])
		at = c
		dispatch()
	}
	in.Reset()
	if err != nil && m.status == 0 {
		m.status = 400
	}
	if out := conn.Out(); out != nil {
		out.Reset()
	}
	for !conn.ReadEnabled() {
		conn.ReadDisable(false)
	}
	return m
}

// verdict is what must not depend on how the bytes were cut.
func (m *manager) verdict() string {
	var b strings.Builder
	for _, x := range m.messages {
		fmt.Fprintln(&b, x)
	}
	if m.status != 0 {
		fmt.Fprintf(&b, "refused %d %s\n", m.status, m.details)
	} else if m.begun > len(m.messages) {
		if m.streamed {
			fmt.Fprintln(&b, m.cur)
		}
		b.WriteString("incomplete\n")
	}
	return b.String()
}
