//go:build oracle

package oracle

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// message is an HTTP/1 message as it was read, with names in lower case.
type message struct {
	Line     string
	Headers  [][2]string
	Body     string
	Trailers [][2]string
	Cut      bool // the body ends too early
}

func (m *message) get(name string) string {
	for _, h := range m.Headers {
		if h[0] == name {
			return h[1]
		}
	}
	return ""
}

func (m *message) status() int {
	parts := strings.SplitN(m.Line, " ", 3)
	if len(parts) < 2 {
		return 0
	}
	n, _ := strconv.Atoi(parts[1])
	return n
}

// readMessage reads a request, or a response; bodyless is for responses that
// have no body whatever their headers say (to HEAD).
func readMessage(r *bufio.Reader, bodyless bool) (*message, error) {
	line, err := readLine(r)
	if err != nil {
		return nil, err
	}
	m := &message{Line: line}
	if m.Headers, err = readHeaders(r); err != nil {
		return nil, err
	}
	response := strings.HasPrefix(line, "HTTP/")
	status := m.status()
	switch length := m.get("content-length"); {
	case response && (bodyless || status/100 == 1 || status == 204 || status == 304):
	case strings.Contains(m.get("transfer-encoding"), "chunked"):
		err = m.readChunks(r)
	case length != "":
		n, convErr := strconv.Atoi(length)
		if convErr != nil {
			return nil, convErr
		}
		b := make([]byte, n)
		n, err = io.ReadFull(r, b)
		m.Body = string(b[:n])
	case response:
		b, _ := io.ReadAll(r)
		m.Body = string(b)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		m.Cut = true
		if response {
			err = nil
		}
	}
	return m, err
}

func (m *message) readChunks(r *bufio.Reader) error {
	var body strings.Builder
	defer func() { m.Body = body.String() }()
	for {
		line, err := readLine(r)
		if err != nil {
			return err
		}
		digits, _, _ := strings.Cut(line, ";")
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 16, 32)
		if err != nil {
			return fmt.Errorf("chunk size %q", line)
		}
		if n == 0 {
			m.Trailers, err = readHeaders(r)
			return err
		}
		if _, err := io.CopyN(&body, r, n); err != nil {
			return err
		}
		if _, err := readLine(r); err != nil {
			return err
		}
	}
}

func readHeaders(r *bufio.Reader) ([][2]string, error) {
	out := [][2]string{}
	for {
		line, err := readLine(r)
		if err != nil || line == "" {
			return out, err
		}
		name, value, _ := strings.Cut(line, ":")
		out = append(out, [2]string{strings.ToLower(name), strings.TrimSpace(value)})
	}
}

func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err
}

// decompress undoes a body's content-coding: what the same text is compressed
// to differs between libraries. A body that is not so coded stays.
func decompress(headers [][2]string, body string) string {
	coding := ""
	for _, h := range headers {
		if h[0] == "content-encoding" {
			coding = h[1]
		}
	}
	var r io.Reader
	switch coding {
	case "gzip":
		if z, err := gzip.NewReader(strings.NewReader(body)); err == nil {
			r = z
		}
	case "br":
		r = brotli.NewReader(strings.NewReader(body))
	case "zstd":
		r, _ = zstd.NewReader(strings.NewReader(body))
	}
	if r == nil {
		return body
	}
	if out, err := io.ReadAll(r); err == nil {
		return string(out)
	}
	return body
}
