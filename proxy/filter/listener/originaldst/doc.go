// Package originaldst is the listener filter envoy.filters.listener.original_dst:
// it asks the kernel where a redirected connection was going and makes that
// its local address, for filter-chain matching and original_dst clusters.
// Listeners make it by [New].
package originaldst
