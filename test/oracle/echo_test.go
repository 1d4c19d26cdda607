//go:build oracle

package oracle

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirproxy/weir/internal/tcprig"
)

// echo is an HTTP/1.1 server that answers with what it received, as JSON, and
// obeys the request header x-do, a list separated by ";" of: status=503,
// delay=0.5, until=N (answer once this path has been asked N times; never to the
// Nth), header=name:value, body=1000 (that many x), mirror (the request's
// body), chunked, trailer=name:value, close, reset (close without an answer), truncate, and
// fail=N (503 to the first N requests of this path). /jwks is cases/jwks.json; /token
// is an OAuth token response whose access token is the request in hex, and /token-STATUS one that fails.
type echo struct {
	name    string
	mu      sync.Mutex
	seen    map[string]int // requests by path that are answered
	arrived map[string]int // those with until=
	more    sync.Cond      // arrived has changed
	conns   int            // of an h2Echo
	frames  []string       // that an h2Echo received, but for requests
}

func startEcho(t *testing.T, name string) (e *echo, port int) {
	t.Helper()
	e = &echo{name: name, seen: map[string]int{}, arrived: map[string]int{}}
	e.more.L = &e.mu
	return e, tcprig.Start(t, e.serve).Port
}

// reset forgets the requests seen.
func (e *echo) reset() {
	e.mu.Lock()
	defer e.mu.Unlock()
	clear(e.seen)
	clear(e.arrived)
	e.conns, e.frames = 0, nil
}

// received is the JSON body of an answer.
type received struct {
	Server   string      `json:"server"`
	Line     string      `json:"line"`
	Headers  [][2]string `json:"headers"`
	Body     string      `json:"body"`
	Trailers [][2]string `json:"trailers"`
	TLS      *tlsSeen    `json:"tls,omitempty"`
	Frames   []string    `json:"frames,omitempty"`
}

func (e *echo) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	for {
		m, err := readMessage(r, false)
		if err != nil {
			return
		}
		do := verbs(m.get("x-do"))
		if s, ok := do["until"]; ok {
			limit, _ := strconv.Atoi(s[0])
			if e.wait(m.path(), limit) == limit {
				r.Peek(1) // until the client has had enough
				return
			}
		}
		if s, ok := do["delay"]; ok {
			f, _ := strconv.ParseFloat(s[0], 64)
			time.Sleep(time.Duration(f * float64(time.Second)))
		}
		if _, ok := do["reset"]; ok {
			if c, ok := c.(*net.TCPConn); ok {
				c.SetLinger(0)
			}
			return
		}
		if strings.EqualFold(m.get("upgrade"), "websocket") {
			io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			io.Copy(c, r)
			return
		}
		if !e.answer(c, m, do) {
			return
		}
	}
}

// wait waits until path has been asked limit times, and tells the how manieth
// this was.
func (e *echo) wait(path string, limit int) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.arrived[path]++
	e.more.Broadcast()
	nth := e.arrived[path]
	for e.arrived[path] < limit {
		e.more.Wait()
	}
	return nth
}

func (m *message) path() string {
	_, rest, _ := strings.Cut(m.Line, " ")
	path, _, _ := strings.Cut(rest, " ")
	return path
}

// answer writes the response and tells whether the connection stays.
func (e *echo) answer(c net.Conn, m *message, do map[string][]string) bool {
	path := m.path()
	e.mu.Lock()
	e.seen[path]++
	n := e.seen[path]
	e.mu.Unlock()
	if strings.HasPrefix(path, "/jwks") {
		keys, _ := os.ReadFile("cases/jwks.json")
		_, err := fmt.Fprintf(c, "HTTP/1.1 200 X\r\ncontent-length: %d\r\n\r\n%s", len(keys), keys)
		return err == nil
	}
	if strings.HasPrefix(path, "/token") {
		return writeToken(c, path, m)
	}
	status := "200"
	if s, ok := do["status"]; ok {
		status = s[0]
	}
	if s, ok := do["fail"]; ok {
		if limit, _ := strconv.Atoi(s[0]); n <= limit {
			status = "503"
		}
	}
	body := decompress(m.Headers, m.Body)
	if len(body) >= 4096 {
		body = fmt.Sprintf("%d bytes", len(body))
	}
	r := received{Server: e.name, Line: m.Line, Headers: m.Headers, Body: body, Trailers: m.Trailers}
	if c, ok := c.(*tls.Conn); ok {
		r.TLS = seenOf(c.ConnectionState(), true)
	}
	out, _ := json.Marshal(r)
	if s, ok := do["body"]; ok {
		size, _ := strconv.Atoi(s[0])
		out = []byte(strings.Repeat("x", size))
	}
	if _, ok := do["mirror"]; ok {
		out = []byte(m.Body)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 %s X\r\n", status)
	if !strings.Contains(strings.Join(do["header"], ";"), "content-type:") {
		b.WriteString("content-type: application/json\r\n")
	}
	for _, h := range do["header"] {
		name, value, _ := strings.Cut(h, ":")
		fmt.Fprintf(&b, "%s: %s\r\n", name, value)
	}
	_, chunked := do["chunked"]
	_, truncate := do["truncate"]
	_, closing := do["close"]
	if closing {
		b.WriteString("connection: close\r\n")
	}
	switch {
	case strings.HasPrefix(m.Line, "HEAD "):
		fmt.Fprintf(&b, "content-length: %d\r\n\r\n", len(out))
		truncate = false
	case status == "204" || status == "304":
		b.WriteString("\r\n")
		truncate = false
	case chunked || do["trailer"] != nil:
		fmt.Fprintf(&b, "transfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(out), out)
		if truncate {
			break
		}
		b.WriteString("0\r\n")
		for _, t := range do["trailer"] {
			name, value, _ := strings.Cut(t, ":")
			fmt.Fprintf(&b, "%s: %s\r\n", name, value)
		}
		b.WriteString("\r\n")
	default:
		size := len(out)
		if truncate {
			size += 10
		}
		fmt.Fprintf(&b, "content-length: %d\r\n\r\n%s", size, out)
	}
	_, err := io.WriteString(c, b.String())
	return err == nil && !truncate && !closing
}

// startRaw is a server that answers the first bytes of each connection, once
// no more come, with themselves, quoted, in an HTTP response.
func startRaw(t *testing.T) (port int) {
	t.Helper()
	return tcprig.Start(t, func(c net.Conn) {
		var all []byte
		buf := make([]byte, 4096)
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		for {
			n, err := c.Read(buf)
			all = append(all, buf[:n]...)
			if err != nil {
				break
			}
			c.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		}
		said := strconv.QuoteToASCII(string(all))
		fmt.Fprintf(c, "HTTP/1.1 200 X\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s", len(said), said)
	}).Port
}

func verbs(do string) map[string][]string {
	out := map[string][]string{}
	for _, part := range strings.Split(do, ";") {
		if k, v, _ := strings.Cut(strings.TrimSpace(part), "="); k != "" {
			out[k] = append(out[k], v)
		}
	}
	return out
}

// writeToken answers as an OAuth authorization server.
func writeToken(c net.Conn, path string, m *message) bool {
	status := strings.TrimPrefix(strings.TrimPrefix(path, "/token"), "-")
	if status == "" {
		status = "200"
	}
	slices.SortFunc(m.Headers, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	body := fmt.Sprintf(`{"access_token": "%x", "refresh_token": "R", "id_token": "I", "expires_in": 3600}`, fmt.Sprint(m.Line, m.Headers, m.Body))
	_, err := fmt.Fprintf(c, "HTTP/1.1 %s X\r\ncontent-length: %d\r\n\r\n%s", status, len(body), body)
	return err == nil
}
