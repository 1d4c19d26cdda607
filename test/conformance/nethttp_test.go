//go:build e2e

package conformance

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	nethttp "net/http"
	"sync"
	"testing"
	"time"
)

// h2c makes a server or a client of net/http speak HTTP/2 by prior knowledge.
func h2c() *nethttp.Protocols {
	p := &nethttp.Protocols{}
	p.SetUnencryptedHTTP2(true)
	return p
}

// echo answers with the request's body, its sum and its trailers.
func echo(w nethttp.ResponseWriter, r *nethttp.Request) {
	if r.URL.Path == "/hang" {
		w.WriteHeader(200)
		w.(nethttp.Flusher).Flush()
		<-r.Context().Done()
		return
	}
	sum := sha256.New()
	w.Header().Set("Trailer", "X-Sum, X-Seen")
	io.Copy(w, io.TeeReader(r.Body, sum))
	w.Header().Set("X-Sum", hex.EncodeToString(sum.Sum(nil)))
	w.Header().Set("X-Seen", r.Trailer.Get("X-T"))
}

// TestNetHTTP sends requests of net/http's client through weir to its server,
// many at once: bodies of all sizes, with trailers.
func TestNetHTTP(t *testing.T) {
	origin := serve(t, &nethttp.Server{Handler: nethttp.HandlerFunc(echo), Protocols: h2c()})
	p := startWeir(t, options{upstream: origin, http2: true})
	client := &nethttp.Client{Transport: &nethttp.Transport{Protocols: h2c()}, Timeout: 60 * time.Second}
	defer client.CloseIdleConnections()
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			size := []int{0, 1, 16384, 16385, 300_000, 5 << 20}[i%6]
			body := bytes.Repeat([]byte{byte('a' + i%26)}, size)
			req, _ := nethttp.NewRequest("POST", "http://"+p.address()+"/", struct{ io.Reader }{bytes.NewReader(body)})
			req.Trailer = nethttp.Header{"X-T": {fmt.Sprint(i)}}
			res, err := client.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			got, err := io.ReadAll(res.Body)
			sum := sha256.Sum256(body)
			if err != nil || !bytes.Equal(got, body) || res.Trailer.Get("X-Sum") != hex.EncodeToString(sum[:]) || res.Trailer.Get("X-Seen") != fmt.Sprint(i) {
				t.Errorf("%d bytes: %d came back, trailers %v, %v", size, len(got), res.Trailer, err)
			}
		})
	}
	wg.Wait()
	if n := p.stat(t, "cluster.c.upstream_cx_total"); n != "1" {
		t.Errorf("%s upstream connections", n)
	}
}

// TestSlowReader has a client read nothing of a large response: weir holds no
// more than its buffers, others are served meanwhile, and the rest comes.
func TestSlowReader(t *testing.T) {
	const size = 100 << 20
	origin := serve(t, &nethttp.Server{Protocols: h2c(), Handler: nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		if r.URL.Path == "/large" {
			io.CopyN(w, zeros{}, size)
		}
	})})
	p := startWeir(t, options{upstream: origin, http2: true, cluster: "per_connection_buffer_limit_bytes: 32768"})
	client := &nethttp.Client{Transport: &nethttp.Transport{Protocols: h2c()}, Timeout: 60 * time.Second}
	res, err := client.Get("http://" + p.address() + "/large")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	for range 20 {
		small, err := client.Get("http://" + p.address() + "/small")
		if err != nil {
			t.Fatal(err)
		}
		small.Body.Close()
	}
	if kB := residentKB(t, p.cmd.Process.Pid); kB > 150<<10 {
		t.Errorf("weir takes %d kB while a client does not read", kB)
	}
	if n, err := io.Copy(io.Discard, res.Body); n != size || err != nil {
		t.Errorf("%d bytes came, %v", n, err)
	}
}

// TestCancel ends requests early: the origin hears of it.
func TestCancel(t *testing.T) {
	origin := serve(t, &nethttp.Server{Handler: nethttp.HandlerFunc(echo), Protocols: h2c()})
	p := startWeir(t, options{upstream: origin, http2: true})
	client := &nethttp.Client{Transport: &nethttp.Transport{Protocols: h2c()}}
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		req, _ := nethttp.NewRequestWithContext(ctx, "GET", "http://"+p.address()+"/hang", nil)
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		res.Body.Close()
	}
	eventually(t, "no stream is active upstream", func() bool { return p.stat(t, "cluster.c.upstream_rq_active") == "0" })
	if n := p.stat(t, "cluster.c.upstream_rq_tx_reset"); n != "20" {
		t.Errorf("%s requests were reset", n)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not so after 10 s: %s", what)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
