// Package setfilterstate is the HTTP filter envoy.filters.http.set_filter_state:
// it sets objects of a request's filter state by configured formats (see
// package filterstate). The connection manager makes filters by [Maker].
package setfilterstate
