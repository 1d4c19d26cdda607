// Package ratelimit is the network filter envoy.filters.network.ratelimit: a
// rate limit service, asked over gRPC, decides whether a new connection is one
// too many.
//
// It asks when the connection comes, with descriptors that may tell of it, and
// holds its bytes back until the answer is there.
package ratelimit
