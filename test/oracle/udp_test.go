//go:build oracle

package oracle

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// startUDP is a server that answers each datagram with its name and the
// datagram; "size=N" with N bytes instead, "silent" not at all.
func startUDP(t *testing.T, name string) (port int) {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		b := make([]byte, 64<<10)
		for {
			n, from, err := c.ReadFrom(b)
			if errors.Is(err, net.ErrClosed) {
				return
			} else if err != nil {
				continue
			}
			text := string(b[:n])
			size := 0
			switch k, _ := fmt.Sscanf(text, "size=%d", &size); {
			case k == 1:
				text = strings.Repeat("x", size)
			case text == "silent":
				continue
			default:
				text = name + ": " + text
			}
			c.WriteTo([]byte(text), from)
		}
	}()
	return c.LocalAddr().(*net.UDPAddr).Port
}

// sendUDP sends the datagrams; what is not answered shows as a timeout.
func (q *request) sendUDP(port int) []answer {
	c, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return []answer{{End: err.Error()}}
	}
	defer c.Close()
	var out []answer
	b := make([]byte, 64<<10)
	for _, text := range q.UDP {
		size := 0
		if k, _ := fmt.Sscanf(text, "send=%d", &size); k == 1 {
			text = strings.Repeat("y", size)
		}
		c.Write([]byte(text))
		c.SetReadDeadline(time.Now().Add(400 * time.Millisecond))
		n, err := c.Read(b)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			out = append(out, answer{End: "timeout"})
		case err != nil:
			out = append(out, answer{End: "refused"})
		default:
			out = append(out, answer{Body: string(b[:n])})
		}
	}
	return out
}
