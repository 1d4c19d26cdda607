package compression

import (
	"io"

	"github.com/andybalholm/brotli"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	brotliv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/compression/brotli/compressor/v3"
	gzipv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/compression/gzip/compressor/v3"
	zstdv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/compression/zstd/compressor/v3"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/xds/protos"
)

// Compile compiles a compressor_library. Fields that tune zlib's, brotli's or
// zstd's memory (memory_level, window_bits, chunk_size, strategies) are taken
// and have no effect: what they change is not seen in the decompressed result.
func Compile(p field.Path, c *corev3.TypedExtensionConfig) (*Library, error) {
	l := &Library{Name: c.GetName()}
	p = p.Dot("typed_config")
	switch protos.TypeName(c.GetTypedConfig()) {
	case "envoy.extensions.compression.gzip.compressor.v3.Gzip":
		m, err := protos.UnpackAs[*gzipv3.Gzip](p, c.GetTypedConfig())
		if err != nil {
			return nil, err
		}
		l.gzip(m)
	case "envoy.extensions.compression.brotli.compressor.v3.Brotli":
		m, err := protos.UnpackAs[*brotliv3.Brotli](p, c.GetTypedConfig())
		if err != nil {
			return nil, err
		}
		l.brotli(m)
	case "envoy.extensions.compression.zstd.compressor.v3.Zstd":
		m, err := protos.UnpackAs[*zstdv3.Zstd](p, c.GetTypedConfig())
		if err != nil {
			return nil, err
		}
		if err := field.Only(p, m, "compression_level", "enable_checksum", "strategy", "chunk_size"); err != nil {
			return nil, err
		}
		return l, l.zstd(m)
	default:
		return nil, p.Errorf("weir has no compressor library %q", c.GetTypedConfig().GetTypeUrl())
	}
	return l, nil
}

func (l *Library) gzip(m *gzipv3.Gzip) {
	level := gzip.DefaultCompression
	switch c := m.CompressionLevel; {
	case c == gzipv3.Gzip_BEST_SPEED:
		level = gzip.BestSpeed
	case c >= gzipv3.Gzip_COMPRESSION_LEVEL_2:
		level = int(c)
	}
	if m.CompressionStrategy == gzipv3.Gzip_HUFFMAN_ONLY {
		level = gzip.HuffmanOnly
	}
	l.Encoding, l.StatPrefix = "gzip", "gzip."
	l.make = func() encoder { w, _ := gzip.NewWriterLevel(io.Discard, level); return w }
}

func (l *Library) brotli(m *brotliv3.Brotli) {
	quality := 3
	if m.Quality != nil {
		quality = int(m.Quality.Value)
	}
	l.Encoding, l.StatPrefix = "br", "brotli."
	l.make = func() encoder { return brotli.NewWriterLevel(io.Discard, quality) }
}

func (l *Library) zstd(m *zstdv3.Zstd) error {
	level := zstd.SpeedDefault
	if n := m.CompressionLevel; n != nil {
		level = zstd.EncoderLevelFromZstd(int(n.Value))
	}
	options := []zstd.EOption{zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithEncoderLevel(level), zstd.WithEncoderCRC(m.EnableChecksum), zstd.WithWindowSize(512 << 10)}
	if _, err := zstd.NewWriter(nil, options...); err != nil {
		return err
	}
	l.Encoding, l.StatPrefix = "zstd", "zstd."
	l.make = func() encoder { w, _ := zstd.NewWriter(nil, options...); return w }
	return nil
}
