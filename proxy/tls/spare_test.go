package tls

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"testing"

	"github.com/weirproxy/weir/internal/testca"
)

// TestSpare fails when crypto/tls has changed so that there is nothing to give
// back, or something is lost.
func TestSpare(t *testing.T) {
	if !connFields.known {
		t.Fatal("tls.Conn no longer has the buffers that spare knows of")
	}
	ca := testca.New(t, "root")
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	server := tls.Server(a, &tls.Config{Certificates: []tls.Certificate{ca.Issue("a.example", testca.DNS("a.example")).TLS()}})
	client := tls.Client(b, &tls.Config{RootCAs: ca.Pool(), ServerName: "a.example"})
	go func() {
		for range 3 {
			client.Write([]byte("ping"))
		}
	}()
	held := func() int {
		return (*bytes.Buffer)(connFields.at(server, connFields.hand)).Cap() + (*bytes.Buffer)(connFields.at(server, connFields.raw)).Cap()
	}
	for i := range 3 {
		got := make([]byte, 4)
		if _, err := io.ReadFull(server, got); err != nil || string(got) != "ping" {
			t.Fatalf("%q, %v", got, err)
		}
		if before := held(); i == 0 && before < 2048 {
			t.Errorf("the handshake left %d bytes: is spare still of use?", before)
		}
		spare(server)
		if after := held(); after != 0 {
			t.Errorf("%d bytes are held", after)
		}
	}
}
