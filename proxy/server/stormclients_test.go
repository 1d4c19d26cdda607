package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"time"
)

// client does as clients do, and worse, until ctx is done.
func (s *storm) client(ctx context.Context, r *rand.Rand) {
	plain := fmt.Sprintf("http://127.0.0.1:%d", s.http)
	h2c := new(http.Protocols)
	h2c.SetUnencryptedHTTP2(true)
	insecure := &tls.Config{InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	ways := []struct {
		url string
		t   *http.Transport
	}{
		{plain, &http.Transport{}},
		{plain, &http.Transport{Protocols: h2c}},
		{fmt.Sprintf("https://127.0.0.1:%d", s.https), &http.Transport{TLSClientConfig: insecure.Clone()}},
		{fmt.Sprintf("https://127.0.0.1:%d", s.https), &http.Transport{TLSClientConfig: insecure.Clone(), ForceAttemptHTTP2: true}},
	}
	for ctx.Err() == nil {
		way := ways[r.IntN(len(ways))]
		switch r.IntN(20) {
		case 0:
			way.t.CloseIdleConnections()
		case 1:
			s.rude(r)
		case 2:
			s.echoed(r)
		default:
			s.answers[request(ctx, r, way.t, way.url)/100].Add(1)
		}
	}
	for _, way := range ways {
		way.t.CloseIdleConnections()
	}
}

// request tells the answer's status, 0 when there is none.
func request(ctx context.Context, r *rand.Rand, t *http.Transport, url string) int {
	patience := 5 * time.Second
	if r.IntN(10) == 0 {
		patience = time.Duration(r.IntN(20)) * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	path := fmt.Sprintf("/c%d/%s", r.IntN(7), pick(r, "", "", "early", "slow", "reset", "cut", "big", "fails", "trailers"))
	var body io.Reader
	if r.IntN(2) == 0 {
		body = bytes.NewReader(make([]byte, pick(r, 0, 10, 5000, 100_000)))
		if r.IntN(2) == 0 {
			body = io.MultiReader(body) // of unknown length
		}
	}
	q, err := http.NewRequestWithContext(ctx, pick(r, "GET", "POST", "PUT", "HEAD"), url+path, body)
	if err != nil {
		panic(err)
	}
	q.Header.Set("x-h", strconv.Itoa(r.IntN(10)))
	a, err := t.RoundTrip(q)
	if err != nil {
		return 0
	}
	defer a.Body.Close()
	if r.IntN(10) > 0 {
		io.Copy(io.Discard, a.Body)
	}
	return a.StatusCode
}

// rude is a client that goes in the middle of something.
func (s *storm) rude(r *rand.Rand) {
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", pick(r, s.http, s.https, s.tcp)))
	if err != nil {
		return
	}
	defer c.Close()
	all := "GET /c0/ HTTP/1.1\r\nhost: a\r\n\r\nPOST /c1/ HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n0123456789GET /c2/big HTTP/1.1\r\nhost: a\r\n\r\n\x00\x16\x03\x01 HTTP/1.1"
	io.WriteString(c, all[:r.IntN(len(all))])
	if r.IntN(2) == 0 {
		c.SetReadDeadline(time.Now().Add(time.Duration(r.IntN(10)) * time.Millisecond))
		io.Copy(io.Discard, c)
	}
	if r.IntN(2) == 0 {
		c.(*net.TCPConn).SetLinger(0)
	}
}

// echoed sends a few bytes to the TCP listener and reads them again, over TLS or
// not, whatever the listener speaks.
func (s *storm) echoed(r *rand.Rand) {
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.tcp))
	if err != nil {
		return
	}
	if r.IntN(2) == 0 {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(200 * time.Millisecond))
	n := r.IntN(100_000)
	go c.Write(make([]byte, n))
	io.CopyN(io.Discard, c, int64(n))
}
