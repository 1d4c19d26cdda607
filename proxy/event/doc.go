// Package event is the loop under everything: a [Dispatcher] owns one epoll
// instance and runs, on one goroutine, what becomes ready on file
// descriptors, timers that expire and functions posted from elsewhere.
//
// The server makes one dispatcher for main and one for each worker. All that
// belongs to a worker (connections, streams, pools, buffers) is touched only
// from its dispatcher's goroutine, so none of it locks; [Dispatcher.Post] is
// the one way in from another goroutine.
//
// One turn of the loop is: poll, then each ready file's handler, then expired
// timers, then posted functions, then deferred deletions, then output that was
// put off to the turn's end. The clock is read
// once a turn ([Dispatcher.Now]); code on the request path asks the
// dispatcher, never the time package. A turn may begin with a short rest, so
// that more has come by then: see [Dispatcher.Crumb].
//
// Descriptors are registered edge-triggered for reading and writing at once,
// so a connection costs one epoll_ctl in its life. The contract that bites: a
// handler must read until it sees a short read or EAGAIN, and must keep
// trying to write until EAGAIN, or it is never called again.
package event
