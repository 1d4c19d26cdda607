// Package async sends requests of the proxy's own through the clusters of a
// worker: to authorization servers, key sets, callouts of scripts, mirrors.
//
// In comes a cluster's name and a request; out goes a stream of a connection
// pool of that cluster, with the same load balancing, circuit breakers, TLS
// and statistics as the requests of clients have. What Envoy's router answers
// for an upstream that fails (503, 504 and their bodies), a [Request] is
// answered too.
//
// [Client.Send] is for a request with a whole body and its whole response,
// [Client.NewStream] for what is sent and received piece by piece. Filters
// call them on their worker and are called back there.
//
// The contract that bites: callbacks never come before the call that starts a
// request has returned; after Cancel or Reset none comes at all. Header maps
// given to callbacks are the stream's: clone what is kept.
package async
