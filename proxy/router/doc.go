// Package router is the terminal HTTP filter: it sends a request to the
// cluster that its route names and the response back.
//
// In come a request's head, data and trailers from the filter chain; out goes
// a stream of a connection pool of the chosen host, and back come the
// response or an answer of the router's own when there is no route, no
// cluster, no host, or no response in time. A request may be tried several
// times ([retryState]); each try is an upstreamRequest.
//
// Timeouts, retries and their request headers follow Envoy's router filter.
//
// The contract that bites: a filter is recycled for later streams, so
// whatever it has asked of a pool or an encoder is cancelled in OnDestroy.
package router
