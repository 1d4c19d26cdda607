// Package grpchttp1reversebridge is the HTTP filter
// envoy.filters.http.grpc_http1_reverse_bridge: it gives calls of gRPC clients
// to a server that knows only HTTP, with or without gRPC's frames, and makes
// its answers gRPC's. The connection manager makes filters by [Maker].
package grpchttp1reversebridge
