//go:build e2e

package conformance

import (
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// TestFloods attacks a running weir: each flood is ended by GOAWAY and counted
// under its name, in bounded memory, while another client is served.
func TestFloods(t *testing.T) {
	origin := serveHTTP1(t, func(w nethttp.ResponseWriter, r *nethttp.Request) {
		io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, "hello")
	})
	p := startWeir(t, options{upstream: origin})
	bystander := &nethttp.Client{Transport: &nethttp.Transport{Protocols: h2c()}, Timeout: 10 * time.Second}
	before := residentKB(t, p.cmd.Process.Pid)
	for _, c := range []struct {
		counter string
		first   func(*attacker)
		each    func(*attacker, uint32)
	}{
		{"http.in.downstream_rq_too_many_premature_resets", nil, func(a *attacker, id uint32) { a.head(id, true); a.fr.WriteRSTStream(id, http2.ErrCodeCancel) }},
		{"http.in.downstream_rq_too_many_premature_resets", nil, func(a *attacker, id uint32) {
			a.head(id, false)
			a.fr.WriteRawFrame(http2.FrameWindowUpdate, 0, id, make([]byte, 4))
		}},
		{"http2.outbound_control_flood", nil, func(a *attacker, _ uint32) { a.fr.WritePing(false, [8]byte{}) }},
		{"http2.outbound_control_flood", nil, func(a *attacker, _ uint32) { a.fr.WriteSettings() }},
		{"http2.inbound_empty_frames_flood", func(a *attacker) { a.head(1, false) }, func(a *attacker, _ uint32) { a.fr.WriteData(1, false, nil) }},
		{"http2.inbound_priority_frames_flood", nil, func(a *attacker, id uint32) { a.fr.WritePriority(id, http2.PriorityParam{}) }},
		{"http2.inbound_window_update_frames_flood", func(a *attacker) { a.head(1, false) }, func(a *attacker, _ uint32) { a.fr.WriteWindowUpdate(0, 1) }},
		{"http2.header_overflow", nil, func(a *attacker, id uint32) { a.head(id, true, strings.Repeat("cookie: a\n", 1200)) }},
	} {
		was := p.stat(t, c.counter)
		a := newAttacker(t, p.address())
		if c.first != nil {
			c.first(a)
		}
		code := make(chan http2.ErrCode, 1)
		go a.awaitGoAway(code)
		for id, end := uint32(1), time.Now().Add(10*time.Second); a.err == nil && len(code) == 0 && time.Now().Before(end); id += 2 {
			c.each(a, id)
			a.flush()
			if id%101 == 0 {
				r, err := bystander.Get("http://" + p.address() + "/")
				if err != nil {
					t.Fatalf("%s: the bystander: %v", c.counter, err)
				}
				io.Copy(io.Discard, r.Body)
				r.Body.Close()
			}
		}
		if got := <-code; got != http2.ErrCodeEnhanceYourCalm {
			t.Errorf("%s: ended by %v", c.counter, got)
		}
		a.c.Close()
		if now := p.stat(t, c.counter); now == was {
			t.Errorf("%s is still %s", c.counter, now)
		}
	}
	if grown := residentKB(t, p.cmd.Process.Pid) - before; grown > 64<<10 {
		t.Errorf("weir has grown by %d kB", grown)
	}
}

// attacker is a client that does as it likes.
type attacker struct {
	c   net.Conn
	fr  *http2.Framer
	buf strings.Builder
	err error
}

func newAttacker(t *testing.T, addr string) *attacker {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	a := &attacker{c: c}
	a.fr = http2.NewFramer(&a.buf, c)
	a.fr.AllowIllegalWrites = true
	a.buf.WriteString(http2.ClientPreface)
	a.fr.WriteSettings()
	a.flush()
	return a
}

// flush writes what was built.
func (a *attacker) flush() {
	a.c.SetWriteDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(a.c, a.buf.String()); err != nil {
		a.err = err
	}
	a.buf.Reset()
}

// head begins a request; more has further lines.
func (a *attacker) head(id uint32, end bool, more ...string) {
	var block strings.Builder
	enc := hpack.NewEncoder(&block)
	text := ":method: POST\n:scheme: http\n:authority: a\n:path: /\n" + strings.Join(more, "")
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		enc.WriteField(hpack.HeaderField{Name: name, Value: value})
	}
	a.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndStream: end, EndHeaders: true, BlockFragment: []byte(block.String())})
}

// awaitGoAway reads up to GOAWAY, or the connection's end.
func (a *attacker) awaitGoAway(code chan<- http2.ErrCode) {
	a.c.SetReadDeadline(time.Now().Add(15 * time.Second))
	for {
		f, err := a.fr.ReadFrame()
		if err != nil {
			code <- http2.ErrCodeNo
			return
		}
		if g, ok := f.(*http2.GoAwayFrame); ok {
			code <- g.ErrCode
			return
		}
	}
}

// residentKB is a process's resident memory in kB.
func residentKB(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "VmRSS:")
	kB := 0
	fmt.Sscan(rest, &kB)
	return kB
}
