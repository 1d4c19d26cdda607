// Package extauthz is the ext_authz HTTP filter
// (envoy.extensions.filters.http.ext_authz.v3): it asks an authorization
// server about each request, over HTTP or gRPC, and lets the request through
// with the changes that the server orders, or answers as the server says.
//
// [Maker] compiles the configuration, and that of routes, on main; a filter runs on its stream's worker. The question is sent through
// the worker's own clusters (packages async and grpc), so nothing blocks.
//
// The contract that bites: while the server is asked the stream stands still
// (HeadersStopAllAndWatermark), and OnDestroy cancels the question.
package extauthz
