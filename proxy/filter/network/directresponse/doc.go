// Package directresponse is the network filter
// envoy.filters.network.direct_response: it answers each new connection with
// configured bytes and closes it. Listeners make it by [New].
package directresponse
