// Package localratelimit is the network filter
// envoy.filters.network.local_ratelimit: it closes new connections above a
// rate that this proxy keeps by itself, with a token bucket that all workers
// share. Listeners make it by [New].
package localratelimit
