package router_test

import (
	"bufio"
	"io"
	"net"
	stdhttp "net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/weirproxy/weir/internal/httprig"
	"github.com/weirproxy/weir/internal/listenerrig"
	"github.com/weirproxy/weir/internal/tcprig"
)

// TestRetryOfHeldRequest: a client that was asked to wait for an upstream does
// not wait for it any more when the request is tried elsewhere.
func TestRetryOfHeldRequest(t *testing.T) {
	const body = 200_000 // of which a stream's first window has room for a third
	r := httprig.New(t, httprig.Options{})
	held, again := make(chan bool), make(chan bool)
	upstream := tcprig.Start(t, func(c net.Conn) {
		io.ReadFull(c, make([]byte, len(http2.ClientPreface)))
		fr := http2.NewFramer(c, c)
		fr.WriteSettings()
		fr.WriteWindowUpdate(0, 2*body) // but none of the first stream's
		for n := 0; ; {
			f, err := fr.ReadFrame()
			if err != nil {
				return
			}
			switch f := f.(type) {
			case *http2.SettingsFrame:
				if !f.IsAck() {
					fr.WriteSettingsAck()
				}
			case *http2.HeadersFrame:
				if f.StreamID == 1 {
					<-held
					fr.WriteRSTStream(1, http2.ErrCodeRefusedStream)
					continue
				}
				fr.WriteWindowUpdate(f.StreamID, body)
				close(again)
			case *http2.DataFrame:
				if f.StreamID == 1 {
					continue
				}
				if n += len(f.Data()); f.StreamEnded() {
					if n != body {
						t.Errorf("%d bytes came", n)
					}
					fr.WriteHeaders(http2.HeadersFrameParam{StreamID: f.StreamID, EndStream: true, EndHeaders: true, BlockFragment: []byte{0x88}}) // :status: 200
				}
			}
		}
	}).String()
	r.Cluster("u", "http2_protocol_options: {}\nper_connection_buffer_limit_bytes: 1000", upstream)
	addr := r.Serve(httprig.Routes(`{match: {prefix: /}, route: {cluster: u, retry_policy: {retry_on: refused-stream}}}`))
	c := listenerrig.Dial(t, addr)
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n"+strings.Repeat("x", body/2))
	r.WantStat("http.in.downstream_flow_control_paused_reading_total", "1")
	close(held)
	<-again
	io.WriteString(c, strings.Repeat("x", body/2))
	resp, err := stdhttp.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
}
