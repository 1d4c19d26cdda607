//go:build e2e

package conformance

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/weirproxy/weir/internal/testbinary"
)

const (
	connectVersion = "v1.0.7"
	// hopFor names, in the environment of this test's own binary, the server
	// that it is to run behind a weir of its own; translate, that this is one
	// for gRPC whatever the client speaks.
	hopFor    = "WEIR_CONFORMANCE_SERVER"
	translate = "WEIR_CONFORMANCE_TRANSLATE"
)

// TestConnectConformance runs connect's conformance suite: its client, weir,
// its server.
func TestConnectConformance(t *testing.T) {
	suite := tool(t, "connectrpc.com/conformance/cmd/connectconformance", connectVersion)
	server := tool(t, "connectrpc.com/conformance/cmd/referenceserver", connectVersion)
	weir, err := testbinary.Weir()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		versions, protocol string
		translated         bool // gRPC-Web becomes gRPC in weir's grpc_web filter
	}{
		"gRPC":             {"HTTP_VERSION_2", "PROTOCOL_GRPC", false},
		"gRPC-Web":         {"HTTP_VERSION_1, HTTP_VERSION_2", "PROTOCOL_GRPC_WEB", false},
		"gRPC-Web to gRPC": {"HTTP_VERSION_1, HTTP_VERSION_2", "PROTOCOL_GRPC_WEB", true},
	} {
		t.Run(name, func(t *testing.T) {
			config := filepath.Join(t.TempDir(), "suite.yaml")
			features := fmt.Sprintf(`features:
  versions: [%s]
  protocols: [%s]
  codecs: [CODEC_PROTO]
  compressions: [COMPRESSION_IDENTITY, COMPRESSION_GZIP]
  supportsH2c: true
  supportsTls: false
  supportsTlsClientCerts: false
`, c.versions, c.protocol)
			if err := os.WriteFile(config, []byte(features), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), suite, "--mode", "server", "--conf", config, "--", os.Args[0])
			cmd.Env = append(os.Environ(), hopFor+"="+server, "WEIR="+weir)
			if c.translated {
				cmd.Env = append(cmd.Env, translate+"=1")
			}
			out, err := cmd.CombinedOutput()
			text := strings.TrimSpace(string(out))
			if err != nil || !strings.Contains(text, " 0 failed") {
				t.Errorf("%v\n%s", err, text)
				return
			}
			t.Log(text[strings.LastIndex(text, "\n")+1:])
		})
	}
}

// serveBehindWeir runs the reference server with what the suite asks of it,
// and tells the suite of a weir before it instead.
func serveBehindWeir() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	asked := numbersOf(readSized(os.Stdin))
	o := options{http2: asked[fieldVersion] == version2}
	if os.Getenv(translate) != "" {
		asked[fieldProtocol], asked[fieldVersion] = protocolGRPC, version2
		o = options{http2: true, filters: `{name: envoy.filters.http.grpc_web, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.grpc_web.v3.GrpcWeb}},`}
	}
	cmd := exec.CommandContext(ctx, os.Getenv(hopFor))
	cmd.Stdin, cmd.Stderr = bytes.NewReader(asked.sized()), os.Stderr
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
	o.upstream = int(numbersOf(answer)[fieldPort])
	p, err := o.start(ctx, dir)
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

// Of connectrpc.conformance.v1.ServerCompatRequest and, the last,
// ServerCompatResponse.
const (
	fieldProtocol = 1
	fieldVersion  = 2
	fieldPort     = 2

	protocolGRPC = 2
	version2     = 2
)

// numbers are the numeric fields of a message; the others, for TLS, are not
// set here.
type numbers map[protowire.Number]uint64

func numbersOf(b []byte) numbers {
	fields := numbers{}
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if typ == protowire.VarintType {
			fields[num], _ = protowire.ConsumeVarint(b[n:])
		}
		b = b[n+protowire.ConsumeFieldValue(num, typ, b[n:]):]
	}
	return fields
}

// sized is the message behind its length.
func (f numbers) sized() []byte {
	var b []byte
	for num, v := range f {
		b = protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
}
