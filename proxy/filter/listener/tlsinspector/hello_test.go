package tlsinspector

import (
	"crypto/tls"
	"encoding/binary"
	"net"
	"slices"
	"strings"
	"testing"
)

// capture is the ClientHello that crypto/tls sends.
func capture(t testing.TB, c *tls.Config) []byte {
	t.Helper()
	client, server := net.Pipe()
	defer server.Close()
	c.InsecureSkipVerify = true
	go func() { tls.Client(client, c).Handshake(); client.Close() }()
	buf := make([]byte, 64<<10)
	n, err := server.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return buf[:n]
}

// split puts the message of one record into records of n bytes.
func split(p []byte, n int) (out []byte) {
	for piece := range slices.Chunk(p[recordHeader:], n) {
		out = append(out, p[:3]...)
		out = binary.BigEndian.AppendUint16(out, uint16(len(piece)))
		out = append(out, piece...)
	}
	return out
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name   string
		config *tls.Config
		want   hello
	}{
		{"plain", &tls.Config{}, hello{}},
		{"name and protocols", &tls.Config{ServerName: "WWW.a.example", NextProtos: []string{"h2", "http/1.1"}}, hello{"www.a.example", []string{"h2", "http/1.1"}}},
		{"TLS 1.2", &tls.Config{ServerName: "a.example", MaxVersion: tls.VersionTLS12}, hello{"a.example", nil}},
		{"an address is no name", &tls.Config{ServerName: "127.0.0.1"}, hello{}},
		{"long", &tls.Config{ServerName: "a.example", NextProtos: []string{strings.Repeat("x", 255)}}, hello{"a.example", []string{strings.Repeat("x", 255)}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			whole := capture(t, c.config)
			for _, p := range [][]byte{whole, split(whole, 1), split(whole, 3), split(whole, 100)} {
				got, err := parse(append(p[:len(p):len(p)], "more"...))
				if err != nil || got.serverName != c.want.serverName || !slices.Equal(got.protocols, c.want.protocols) {
					t.Fatalf("got %+v, %v; want %+v", got, err, c.want)
				}
				for i := 0; i < len(p); i += 1 + len(p)/300 {
					if _, err := parse(p[:i]); err != errIncomplete {
						t.Fatalf("of %d of %d bytes: %v", i, len(p), err)
					}
				}
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	good := capture(t, &tls.Config{ServerName: "a.example"})
	change := func(f func(p []byte)) string {
		p := slices.Clone(good)
		f(p)
		return string(p)
	}
	name := strings.Index(string(good), "a.example")
	for what, in := range map[string]string{
		"HTTP":              "GET / HTTP/1.1\r\n",
		"an alert":          "\x15\x03\x01\x00\x02\x01\x00",
		"SSL 2":             "\x16\x02",
		"an empty record":   "\x16\x03\x01\x00\x00",
		"a record too long": "\x16\x03\x01\x40\x01",
		"a ServerHello":     "\x16\x03\x01\x00\x01\x02",
		"version":           change(func(p []byte) { p[recordHeader+helloHeader] = 4 }),
		"a NUL in the name": change(func(p []byte) { p[name] = 0 }),
		"the name's length": change(func(p []byte) { p[name-1]++ }),
		"session too long":  change(func(p []byte) { p[recordHeader+helloHeader+34] = 33 }),
	} {
		if _, err := parse([]byte(in)); err != errNotTLS {
			t.Errorf("%s: %v, want errNotTLS", what, err)
		}
	}
}

// FuzzParse checks that a verdict once given stands, whatever follows.
func FuzzParse(f *testing.F) {
	// Written out: a fuzzer's seeds must be the same in all its processes.
	h := []byte("\x16\x03\x01\x00\x55\x01\x00\x00\x51\x03\x03" + strings.Repeat("r", 32) + "\x00\x00\x02\x13\x01\x01\x00\x00\x26" +
		"\x00\x00\x00\x0e\x00\x0c\x00\x00\x09a.example" + "\x00\x10\x00\x05\x00\x03\x02h2" + "\x00\x2b\x00\x03\x02\x03\x04" + "\x00\x23\x00\x00")
	if got, err := parse(h); err != nil || got.serverName != "a.example" || len(got.protocols) != 1 {
		f.Fatalf("the seed: %+v, %v", got, err)
	}
	f.Add(h)
	f.Add(split(h, 7))
	f.Add([]byte("GET / HTTP/1.1\r\n"))
	f.Fuzz(func(t *testing.T, p []byte) {
		want, err := parse(p)
		if err == nil {
			msg, _ := assemble(p)
			print := fingerprintOf(msg)
			if len(print.ja3()) != 32 || len(print.ja4()) != 36 {
				t.Fatalf("fingerprints %s, %s", print.ja3(), print.ja4())
			}
		}
		for _, i := range []int{len(p) / 2, len(p) - 1} {
			if i < 0 {
				continue
			}
			if got, early := parse(p[:i]); early != errIncomplete && (early != err || got.serverName != want.serverName) {
				t.Fatalf("of %d bytes %+v, %v; of all %+v, %v", i, got, early, want, err)
			}
		}
	})
}
