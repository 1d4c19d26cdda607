// Package ratelimit is the protocol of rate limit services
// (envoy.service.ratelimit.v3), for the ratelimit filters of HTTP and of
// connections.
//
// [Compile] makes the service on main. On workers a filter fills a [Question],
// calls [Method] with its bytes and has [Read] tell what the answer means.
package ratelimit
