// Package throttle lets a body pass at a limited rate: the filters fault and
// bandwidth_limit slow messages down with it.
//
// Data goes into a [Body], which gives it out again in slices of a sixteenth
// of a second, by the clock of its worker. What waits is bounded by the
// stream's buffer limit: above it the sender is asked to stop.
package throttle
