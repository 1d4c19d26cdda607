//go:build e2e

package conformance

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestMixedLoadKeepsMemoryFlat has clients of several kinds at work for a
// minute: after the first third the resident set must not grow further.
func TestMixedLoadKeepsMemoryFlat(t *testing.T) {
	const third = 20 * time.Second
	big := strings.Repeat("0123456789abcdef", 64<<10)
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/big" {
			io.WriteString(w, big)
		}
	}))
	defer up.Close()
	weir := startWeir(t, options{upstream: up.Listener.Addr().(*net.TCPAddr).Port})

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var wg sync.WaitGroup
	var done, failed atomic.Int64
	for _, load := range []struct {
		path, body string
		leave      bool // in the middle of the response
		transport  *http.Transport
	}{
		{path: "/", transport: &http.Transport{}},
		{path: "/", transport: &http.Transport{DisableKeepAlives: true}},
		{path: "/", transport: overHTTP2()},
		{path: "/big", transport: &http.Transport{}},
		{path: "/big", transport: overHTTP2()},
		{path: "/", body: big, transport: &http.Transport{}},
		{path: "/", body: big, transport: overHTTP2()},
		{path: "/big", leave: true, transport: &http.Transport{}},
		{path: "/big", leave: true, transport: overHTTP2()},
	} {
		wg.Go(func() {
			defer load.transport.CloseIdleConnections()
			for ctx.Err() == nil {
				err := exchange(ctx, load.transport, "http://"+weir.address()+load.path, load.body, load.leave)
				if done.Add(1); err != nil && ctx.Err() == nil {
					failed.Add(1)
					t.Error(err)
				}
			}
		})
	}
	most := [3]int{} // KiB, of each third
	for i := range most {
		for end := time.Now().Add(third); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			most[i] = max(most[i], weir.residentKiB(t))
		}
	}
	stop()
	wg.Wait()
	t.Logf("%d requests, %d failed; at most %v KiB resident in each third", done.Load(), failed.Load(), most)
	if most[2] > most[0]+most[0]/5 {
		t.Errorf("the resident set grew: at most %v KiB in each third of a minute", most)
	}
}

func overHTTP2() *http.Transport {
	t := &http.Transport{Protocols: &http.Protocols{}}
	t.Protocols.SetUnencryptedHTTP2(true)
	return t
}

func exchange(ctx context.Context, transport *http.Transport, url, body string, leave bool) error {
	r, err := http.NewRequestWithContext(ctx, "POST", url, strings.NewReader(body))
	if err != nil {
		return err
	}
	answer, err := transport.RoundTrip(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != 200 {
		return fmt.Errorf("%s: status %d", url, answer.StatusCode)
	}
	if leave {
		_, err = io.CopyN(io.Discard, answer.Body, 1000)
	} else {
		_, err = io.Copy(io.Discard, answer.Body)
	}
	return err
}

// residentKiB is the proxy's resident set.
func (p *proxy) residentKiB(t *testing.T) int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	var kib int
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		t.Fatal(err)
	}
	return kib
}
