// Package localratelimit is the listener filter
// envoy.filters.listener.local_ratelimit: it closes accepted sockets above a
// rate that this proxy keeps by itself, before anything else is done for
// them. Listeners make it by [New].
package localratelimit
