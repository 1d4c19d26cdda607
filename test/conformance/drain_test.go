//go:build e2e

package conformance

import (
	"fmt"
	"io"
	nethttp "net/http"
	"slices"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// TestDrain drains a listener under a connection with a request under way: the
// client is told twice, first that the end is near and then which request was
// the last, and the one under way is answered whole.
func TestDrain(t *testing.T) {
	release := make(chan struct{})
	origin := serveHTTP1(t, func(w nethttp.ResponseWriter, r *nethttp.Request) {
		io.Copy(io.Discard, r.Body)
		if r.Header.Get("X-Wait") != "" {
			<-release
		}
		fmt.Fprint(w, "hello")
	})
	p := startWeir(t, options{upstream: origin, manager: "drain_timeout: 0.2s", args: []string{"--drain-strategy", "immediate"}})
	a := newAttacker(t, p.address()) // one that does no harm
	a.head(1, true, "x-wait: 1\n")
	a.flush()
	eventually(t, "the request is upstream", func() bool { return p.stat(t, "cluster.c.upstream_rq_active") == "1" })
	r, err := nethttp.Post(fmt.Sprintf("http://127.0.0.1:%d/drain_listeners?graceful", p.admin), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	a.head(3, true)
	a.flush()
	var last []uint32
	ended := map[uint32]bool{}
	a.c.SetReadDeadline(time.Now().Add(15 * time.Second))
	for len(ended) < 2 {
		f, err := a.fr.ReadFrame()
		if err != nil {
			t.Fatalf("after GOAWAYs %v and ends %v: %v", last, ended, err)
		}
		switch f := f.(type) {
		case *http2.GoAwayFrame:
			if last = append(last, f.LastStreamID); len(last) == 2 {
				close(release)
			}
		case *http2.DataFrame:
			ended[f.StreamID] = ended[f.StreamID] || f.StreamEnded()
		case *http2.RSTStreamFrame:
			t.Errorf("stream %d was reset: %v", f.StreamID, f.ErrCode)
		}
	}
	if want := []uint32{1<<31 - 1, 3}; !slices.Equal(last, want) {
		t.Errorf("GOAWAYs named %v, want %v", last, want)
	}
}

// TestDrainWaitsForWindows drains a connection whose last response waits for
// the client's window: it comes whole, and then the connection ends.
func TestDrainWaitsForWindows(t *testing.T) {
	origin := serveHTTP1(t, func(w nethttp.ResponseWriter, r *nethttp.Request) { w.Write(make([]byte, 5000)) })
	p := startWeir(t, options{upstream: origin, manager: "drain_timeout: 0.1s", args: []string{"--drain-strategy", "immediate"}})
	a := newAttacker(t, p.address())
	eventually(t, "the connection is there", func() bool { return p.stat(t, "http.in.downstream_cx_http2_active") == "1" })
	r, err := nethttp.Post(fmt.Sprintf("http://127.0.0.1:%d/drain_listeners?graceful", p.admin), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	a.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 10})
	a.head(1, true)
	a.flush()
	goAways, got, ended := 0, 0, false
	a.c.SetReadDeadline(time.Now().Add(15 * time.Second))
	for {
		f, err := a.fr.ReadFrame()
		if err != nil {
			break
		}
		switch f := f.(type) {
		case *http2.GoAwayFrame:
			if goAways++; goAways == 2 { // the drain is over but for this response
				a.fr.WriteWindowUpdate(1, 10000)
				a.flush()
			}
		case *http2.DataFrame:
			got, ended = got+len(f.Data()), f.StreamEnded()
		}
	}
	if got != 5000 || !ended || goAways != 2 {
		t.Errorf("%d bytes came, ended %v, %d GOAWAYs", got, ended, goAways)
	}
}
