//go:build e2e

package conformance

import (
	"context"
	"encoding/binary"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

const (
	connectVersion = "v1.0.7"
	// hopFor names, in the environment of this test's own binary, the server
	// that it is to run behind a weir of its own.
	hopFor = "WEIR_CONFORMANCE_SERVER"
)

// TestConnectConformance runs connect's conformance suite for gRPC: its client,
// weir, its server.
func TestConnectConformance(t *testing.T) {
	suite := tool(t, "connectrpc.com/conformance/cmd/connectconformance", connectVersion)
	server := tool(t, "connectrpc.com/conformance/cmd/referenceserver", connectVersion)
	weir, err := weirBinary()
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "suite.yaml")
	const features = `features:
  versions: [HTTP_VERSION_2]
  protocols: [PROTOCOL_GRPC]
  codecs: [CODEC_PROTO]
  compressions: [COMPRESSION_IDENTITY, COMPRESSION_GZIP]
  supportsH2c: true
  supportsTls: false
  supportsTlsClientCerts: false
`
	if err := os.WriteFile(config, []byte(features), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), suite, "--mode", "server", "--conf", config, "--", os.Args[0])
	cmd.Env = append(os.Environ(), hopFor+"="+server, "WEIR="+weir)
	out, err := cmd.CombinedOutput()
	text := string(out)
	if err != nil || !strings.Contains(text, " 0 failed") {
		t.Errorf("%v\n%s", err, text)
		return
	}
	t.Log(text[strings.LastIndex(strings.TrimSpace(text), "\n")+1:])
}

// serveBehindWeir runs the reference server with what the suite asks of it,
// and tells the suite of a weir before it instead.
func serveBehindWeir() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	cmd := exec.CommandContext(ctx, os.Getenv(hopFor))
	cmd.Stdin, cmd.Stderr = os.Stdin, os.Stderr
	answers, err := cmd.StdoutPipe()
	if err != nil {
		panic(err)
	}
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	answer := readSized(answers)
	dir, err := os.MkdirTemp("", "conformance")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	p, err := options{upstream: portOf(answer), http2: true}.start(ctx, dir)
	if err != nil {
		panic(err)
	}
	out := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "127.0.0.1")
	out = protowire.AppendVarint(protowire.AppendTag(out, 2, protowire.VarintType), uint64(p.port))
	os.Stdout.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(out))), out...))
	<-ctx.Done()
	p.cmd.Wait()
	cmd.Wait()
}

// readSized reads a message behind its length.
func readSized(r io.Reader) []byte {
	var n [4]byte
	if _, err := io.ReadFull(r, n[:]); err != nil {
		panic(err)
	}
	b := make([]byte, binary.BigEndian.Uint32(n[:]))
	if _, err := io.ReadFull(r, b); err != nil {
		panic(err)
	}
	return b
}

// portOf is the port in a connectrpc.conformance.v1.ServerCompatResponse.
func portOf(b []byte) int {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if num == 2 && typ == protowire.VarintType {
			v, _ := protowire.ConsumeVarint(b[n:])
			return int(v)
		}
		b = b[n+protowire.ConsumeFieldValue(num, typ, b[n:]):]
	}
	panic("no port in the server's answer")
}
