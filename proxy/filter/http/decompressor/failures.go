package decompressor

import (
	"github.com/weirproxy/weir/proxy/compression"
	"github.com/weirproxy/weir/proxy/stats"
)

// failures are the counters of a library's own, of what it can't decompress:
// <the filter's prefix>.decompressor_library. They begin with the first message
// that is decompressed.
type failures struct {
	of    func(worker int) *stats.Counter // the one that counts them all
	close func()
}

// zlibStats have Envoy's names; weir's gzip knows only one kind of error, as
// brotli and zstd do.
type zlibStats struct {
	DataError    stats.Counter `stat:"zlib_data_error"`
	BufError     stats.Counter `stat:"zlib_buf_error"`
	Errno        stats.Counter `stat:"zlib_errno"`
	MemError     stats.Counter `stat:"zlib_mem_error"`
	StreamError  stats.Counter `stat:"zlib_stream_error"`
	VersionError stats.Counter `stat:"zlib_version_error"`
}

type brotliStats struct {
	Error          stats.Counter `stat:"brotli_error"`
	OutputOverflow stats.Counter `stat:"brotli_output_overflow"`
	RedundantInput stats.Counter `stat:"brotli_redundant_input"`
}

type zstdStats struct {
	Generic       stats.Counter `stat:"zstd_generic_error"`
	ChecksumWrong stats.Counter `stat:"zstd_checksum_wrong_error"`
	Dictionary    stats.Counter `stat:"zstd_dictionary_error"`
	Memory        stats.Counter `stat:"zstd_memory_error"`
}

func newFailures(s *stats.Store, prefix string, library *compression.Decoder) failures {
	prefix += "decompressor_library."
	switch library.Encoding {
	case "gzip":
		return countedIn(s, prefix, func(s *zlibStats) *stats.Counter { return &s.DataError })
	case "br":
		return countedIn(s, prefix, func(s *brotliStats) *stats.Counter { return &s.Error })
	}
	return countedIn(s, prefix, func(s *zstdStats) *stats.Counter { return &s.Generic })
}

func countedIn[T any](s *stats.Store, prefix string, counter func(*T) *stats.Counter) failures {
	g := stats.NewGroup[T](s, stats.Scope{Prefix: prefix, Lazy: true})
	return failures{func(w int) *stats.Counter { return counter(g.For(w)) }, g.Close}
}
