// Package throttle lets a body pass at a limited rate: the filters fault and
// bandwidth_limit slow messages down with it.
//
// Data goes into a [Body], which gives it out again as its [Rate] allows: one
// of its own ([PerSecond]), or one that many share. What waits is bounded by
// the stream's buffer limit: above it the sender is asked to stop.
package throttle
