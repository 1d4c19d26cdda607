package compression

import (
	"io"

	"github.com/andybalholm/brotli"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	brotliv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/compression/brotli/decompressor/v3"
	gzipv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/compression/gzip/decompressor/v3"
	zstdv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/compression/zstd/decompressor/v3"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/xds/protos"
)

// Decoder is a decompressor library compiled, immutable.
type Decoder struct {
	Name       string
	Encoding   string // the content-coding
	StatPrefix string // "gzip."
	// MaxRatio bounds how many bytes come out for each that goes in.
	MaxRatio int
	// Open reads what is compressed in r.
	Open func(r io.Reader) (io.ReadCloser, error)
}

// maxWindow bounds a zstd frame's window in bytes (RFC 8878 section 3.1.1.1.2
// recommends to support 8 MB).
const maxWindow = 8 << 20

// CompileDecoder compiles a decompressor_library. As with Compile, fields that
// tune memory have no effect.
func CompileDecoder(p field.Path, c *corev3.TypedExtensionConfig) (*Decoder, error) {
	d := &Decoder{Name: c.GetName(), MaxRatio: 100}
	p = p.Dot("typed_config")
	switch protos.TypeName(c.GetTypedConfig()) {
	case "envoy.extensions.compression.gzip.decompressor.v3.Gzip":
		m, err := protos.UnpackAs[*gzipv3.Gzip](p, c.GetTypedConfig())
		if err != nil {
			return nil, err
		}
		if n := m.GetMaxInflateRatio(); n != nil {
			d.MaxRatio = int(n.Value)
		}
		d.Encoding, d.StatPrefix = "gzip", "gzip."
		d.Open = func(r io.Reader) (io.ReadCloser, error) { return gzip.NewReader(r) }
	case "envoy.extensions.compression.brotli.decompressor.v3.Brotli":
		if _, err := protos.UnpackAs[*brotliv3.Brotli](p, c.GetTypedConfig()); err != nil {
			return nil, err
		}
		d.Encoding, d.StatPrefix = "br", "brotli."
		d.Open = func(r io.Reader) (io.ReadCloser, error) { return io.NopCloser(brotli.NewReader(r)), nil }
	case "envoy.extensions.compression.zstd.decompressor.v3.Zstd":
		m, err := protos.UnpackAs[*zstdv3.Zstd](p, c.GetTypedConfig())
		if err != nil {
			return nil, err
		}
		if err := field.Only(p, m, "chunk_size"); err != nil {
			return nil, err
		}
		d.Encoding, d.StatPrefix = "zstd", "zstd."
		d.Open = func(r io.Reader) (io.ReadCloser, error) {
			z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
			if err != nil {
				return nil, err
			}
			return z.IOReadCloser(), nil
		}
	default:
		return nil, p.Errorf("weir has no decompressor library %q", c.GetTypedConfig().GetTypeUrl())
	}
	return d, nil
}
