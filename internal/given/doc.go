// Package given makes what is read too late be seen: memory that was given back
// for others to use is overwritten in tests.
//
// Comes in: memory that its owner will hand out again (header maps' arenas,
// buffers' slabs). Goes out: nothing; in builds with the race detector it is
// garbage from then on, otherwise untouched. proxy/http and proxy/network call
// it.
package given
