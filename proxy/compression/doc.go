// Package compression is the compressor libraries: gzip, brotli and zstd
// (envoy.extensions.compression.*), for the compressor filter.
//
// [Compile] makes a [Library] of a configuration on main; on workers
// [Library.Encoder] lends encoders, which are dear to make (up to some hundred
// kB) and are kept for reuse in a [Pool] of the worker's own.
//
// An encoder works on the loop: it is given what one read has brought, so a
// turn compresses no more than that.
package compression
