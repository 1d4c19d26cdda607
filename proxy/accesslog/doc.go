// Package accesslog writes access logs: a [Logger] is one access_log entry of
// a listener, connection manager or TCP proxy, compiled by [Compile]: a filter,
// a format and where the lines go.
//
// [Writers] holds the files that are open, one [File] a path whatever the
// number of loggers. A loop formats a line straight into a buffer of its own
// for that file and hands the buffer to the file's goroutine when it is full
// and, asked by a timer, every flush interval. So nothing is shared while a
// line is logged, and a slow disk never holds up a loop: when too many
// buffers wait to be written, lines are dropped and counted.
//
// The contract that bites: Log may be called for a loop's number from that
// loop's goroutine only, and Writers.Close after the loops have stopped.
package accesslog
