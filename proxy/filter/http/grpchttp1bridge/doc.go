// Package grpchttp1bridge is the HTTP filter envoy.filters.http.grpc_http1_bridge:
// it lets clients that speak HTTP/1.1 and read no trailers make unary gRPC
// calls: the status comes in the response's head, 503 for a failed call. On
// request it also puts plain protobuf bodies into gRPC's frames and takes the
// answers out of them. The connection manager makes filters by [Maker].
package grpchttp1bridge
