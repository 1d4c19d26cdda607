//go:build oracle

package oracle

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"time"
)

// answer is what a client sees of a request, in a form that can be compared.
type answer struct {
	Status   int         `json:",omitempty"`
	Interim  []int       `json:",omitempty"` // 1xx before
	Headers  [][2]string `json:",omitempty"`
	Body     string      `json:",omitempty"`
	Upstream *received   `json:",omitempty"` // the body, when it is an echo's
	Trailers [][2]string `json:",omitempty"`
	Cut      bool        `json:",omitempty"`
	TLS      *tlsSeen    `json:",omitempty"`
	Then     string      `json:",omitempty"`
	Took     seconds     `json:",omitempty"`
	Reset    string      `json:",omitempty"` // RST_STREAM's code
	GoAway   string      `json:",omitempty"` // GOAWAY's
	Frames   []h2Seen    `json:",omitempty"` // of a request with Frames
	End      string      `json:",omitempty"` // "closed", "open", "timeout", "refused"
}

// seconds are compared roughly.
type seconds float64

func (s seconds) near(o seconds) bool { return max(s-o, o-s) <= max(0.5, 0.3*s) }

// text is the request's bytes.
func (q *request) text() string {
	if q.Raw != "" {
		return q.Raw
	}
	or := func(s, otherwise string) string {
		if s == "" {
			return otherwise
		}
		return s
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/%s\r\n", or(q.Method, "GET"), or(q.Path, "/"), or(q.Version, "1.1"))
	fmt.Fprintf(&b, "Host: %s\r\n", or(q.Host, "a.example"))
	for _, name := range slices.Sorted(maps.Keys(q.Headers)) {
		values, ok := q.Headers[name].([]any)
		if !ok {
			values = []any{q.Headers[name]}
		}
		for _, v := range values {
			fmt.Fprintf(&b, "%s: %s\r\n", name, withPorts(fmt.Sprint(v)))
		}
	}
	body := ""
	if q.Body != nil {
		body = *q.Body
	}
	switch {
	case q.Chunked && body == "":
		b.WriteString("Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
	case q.Chunked:
		fmt.Fprintf(&b, "Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	case q.Body != nil:
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	default:
		b.WriteString("\r\n")
	}
	return b.String()
}

// send sends the request once and returns the answer, or to a raw request all
// answers until the proxy closes or falls silent.
func (q *request) send(p *proxy, withTLS bool) []answer {
	port := p.port
	if q.UDP != nil {
		return q.sendUDP(port)
	}
	dial := func() (net.Conn, error) {
		return net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), 3*time.Second)
	}
	c, err := dial()
	if err != nil {
		return []answer{{End: "refused"}}
	}
	defer func() { c.Close() }()
	how := q.TLS
	if how == nil && withTLS {
		how = &tlsClient{}
	}
	var seen *tlsSeen
	if how != nil && !how.Plain {
		if c, seen, err = how.wrap(c, dial); err != nil || seen.Failed {
			return []answer{{TLS: seen, End: "closed"}}
		}
	}
	if q.Frames != nil {
		return []answer{q.sendScript(c, p)}
	}
	if q.Proto == "h2" {
		return q.sendH2(c)
	}
	silence := 8 * time.Second
	if q.Raw != "" {
		silence = 1500 * time.Millisecond
	}
	text := q.text()
	io.WriteString(c, text)
	r := bufio.NewReader(c)
	head := strings.HasPrefix(text, "HEAD ")
	var out []answer
	for len(out) < 10 {
		c.SetReadDeadline(time.Now().Add(silence))
		a, err := readAnswer(r, head)
		if err == nil && q.Then != "" {
			io.WriteString(c, q.Then)
			b := make([]byte, len(q.Then))
			n, _ := io.ReadFull(r, b)
			a.Then = string(b[:n])
		}
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && q.Raw != "":
			a.End = "open"
		case errors.Is(err, os.ErrDeadlineExceeded):
			a.End = "timeout"
		case err != nil:
			a.End = "closed"
		}
		a.TLS = seen
		out = append(out, a)
		if err != nil || q.Raw == "" {
			break
		}
	}
	return out
}

func readAnswer(r *bufio.Reader, head bool) (a answer, err error) {
	for {
		m, err := readMessage(r, head)
		if err != nil {
			return a, err
		}
		a.Status = m.status()
		if a.Status/100 == 1 && a.Status != 101 {
			a.Interim = append(a.Interim, a.Status)
			continue
		}
		a.Headers, a.Body, a.Trailers, a.Cut = m.Headers, m.Body, m.Trailers, m.Cut
		return a, nil
	}
}
