// Package accesslog writes access logs: a [Logger] is one access_log entry of
// a listener, connection manager or TCP proxy, compiled by [Compile]: a filter,
// a format and where the lines go.
//
// [Writers] holds the files that are open, one [File] a path whatever the
// number of loggers. A worker formats a line straight into a buffer of its own
// for that file; the file's goroutine takes the buffers of all workers when
// one has [flushSize] bytes, every flush interval and at the end, and writes
// them. So a slow disk never holds up a worker: when a worker's buffer is full
// its lines are dropped, and counted.
//
// The contract that bites: Log may be called for a worker number from that
// worker's goroutine only, and Writers.Close after the workers have stopped.
package accesslog
