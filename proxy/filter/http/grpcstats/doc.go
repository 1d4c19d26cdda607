// Package grpcstats is the HTTP filter envoy.filters.http.grpc_stats: it counts
// gRPC calls and their messages at the cluster that they go to, by method where
// it is told so (see package callstats), and can leave the numbers of messages
// in the filter state for access logs. The connection manager makes filters by
// [Maker].
package grpcstats
