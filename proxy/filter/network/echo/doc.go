// Package echo is the network filter envoy.filters.network.echo: it sends back
// what it receives. Listeners make it by [New].
package echo
