// Package setfilterstate is the network filter
// envoy.filters.network.set_filter_state: it sets objects of a connection's
// filter state by configured formats (see package filterstate), when the
// connection is new or when its TLS handshake is over. Listeners make it by
// [New].
package setfilterstate
