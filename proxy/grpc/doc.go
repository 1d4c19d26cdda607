// Package grpc calls gRPC services for filters: authorization, rate limits,
// external processors. It speaks gRPC over the proxy's own HTTP/2 pools, so
// that the calls have the service's cluster's load balancing, circuit
// breakers, TLS and statistics, and no goroutine.
//
// [Compile] makes a [Service] of an envoy.config.core.v3.GrpcService on main.
// On workers [Service.Call] makes a unary call and [Service.Open] a stream of
// messages both ways. Messages are bytes here; who calls knows the protobufs.
//
// The contract that bites: as with package async, callbacks never come before
// the call that starts it has returned, and none comes after Cancel or Reset.
package grpc
