package tls_test

import (
	"crypto/tls"
	"testing"

	"github.com/weirproxy/weir/internal/testca"
)

// BenchmarkHandshake is a connection, its handshake and its end, the client's
// half included.
func BenchmarkHandshake(b *testing.B) {
	ca := testca.New(b, "root")
	s := serve(b, "common_tls_context: {"+certYAML(ca.Issue("a.example", testca.DNS("a.example")))+"}")
	c := &tls.Config{RootCAs: ca.Pool(), ServerName: "a.example", CurvePreferences: []tls.CurveID{tls.X25519}}
	b.ReportAllocs()
	for b.Loop() {
		conn, err := tls.Dial("tcp", s.addr, c)
		if err != nil {
			b.Fatal(err)
		}
		conn.Close()
	}
}
