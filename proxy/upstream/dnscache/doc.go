// Package dnscache resolves the names that requests themselves bring
// (Envoy's dynamic forward proxy cache) and keeps what it found, refreshed,
// for as long as it is used.
//
// Filters ask a worker's view, [Cache.Load], and wait to be called back; the
// clusters of the same cache are told of each name's addresses on main, before
// those who wait. Names come from anybody: their number and the number of
// those who wait are bounded.
//
// The contract that bites: an [Entry] may be dropped at any time; see Gone.
package dnscache
