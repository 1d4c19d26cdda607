package compressor

import "github.com/weirproxy/weir/proxy/stats"

// Stats tell what Accept-Encoding decided, under
// http.<prefix>.compressor.<library name>.<library>.
type Stats struct {
	Overshadowed stats.Counter `stat:"header_compressor_overshadowed"`
	Used         stats.Counter `stat:"header_compressor_used"`
	Identity     stats.Counter `stat:"header_identity"`
	NotValid     stats.Counter `stat:"header_not_valid"`
	Wildcard     stats.Counter `stat:"header_wildcard"`
	NoAccept     stats.Counter `stat:"no_accept_header"`
	Etag         stats.Counter `stat:"not_compressed_etag"`
}

// DirectionStats are of requests or of responses.
type DirectionStats struct {
	Compressed    stats.Counter `stat:"compressed"`
	NotCompressed stats.Counter `stat:"not_compressed"`
	TooSmall      stats.Counter `stat:"content_length_too_small"`
	BytesIn       stats.Counter `stat:"total_uncompressed_bytes"`
	BytesOut      stats.Counter `stat:"total_compressed_bytes"`
}
