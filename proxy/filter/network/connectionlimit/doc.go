// Package connectionlimit is the network filter
// envoy.filters.network.connection_limit: it closes connections above a number
// that a filter chain may have at once over all workers, at once or after a
// delay. Listeners make it by [New].
package connectionlimit
