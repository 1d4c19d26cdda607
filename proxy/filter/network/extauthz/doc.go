// Package extauthz is the network filter envoy.filters.network.ext_authz: an
// authorization server, asked over gRPC, decides whether a connection may go
// on.
//
// It asks with the connection's first byte, when all is known of the client,
// and holds the bytes back until the answer is there. The server's metadata
// becomes the connection's, in the filter's namespace.
package extauthz
