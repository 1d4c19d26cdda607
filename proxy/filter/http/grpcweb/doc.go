// Package grpcweb is the HTTP filter envoy.filters.http.grpc_web: it turns
// gRPC-Web calls of browsers into gRPC ones, and the answers back
// (PROTOCOL-WEB of gRPC): trailers become a last frame of the body, and where
// the client asks for text, all is base64. An answer that is not gRPC becomes
// one without messages whose grpc-message is the body. The connection manager
// makes filters by [Maker].
package grpcweb
