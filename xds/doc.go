// Package xds is the client side of Envoy's xDS v3 API: it keeps the proxy's
// listeners, clusters, routes and endpoints as a management server or a file
// says.
//
// In: a ConfigSource, a type URL and names ([Client.Subscribe]). Out: decoded and
// validated resources by callback; the callback's error becomes the NACK.
// Called by proxy/server only; its parts xds/bootstrap, xds/protos and
// xds/decode are also used without it, as they do not link gRPC.
//
// The contract that bites: everything is single-threaded. Methods are called
// on the main goroutine, callbacks are run on it through Options.Post, and no
// callback comes before Subscribe has returned or after Close. Decoding, file
// and network I/O happen on goroutines of the package. Messages are shared
// between subscriptions: read only.
//
// How the parts meet, in the order of an update:
//
//	stream      (stream.go)      one gRPC stream: connect, back off, read, write
//	sotw        (sotw.go)        the protocol on it: versions, nonces, ACK, NACK
//	delta       (delta.go)       or the incremental one
//	fileSource  (file.go)        instead of those: a watched file
//	restSource  (rest.go)        or a server that is asked again and again
//	collection  (collection.go)  a type at a source: who watches which names
//	Subscription (subscription.go) one watcher; deduplicates, times out, counts
//
// A stream is shared by all types for ADS, and by all subscriptions to one type
// with equal api_config_source otherwise.
package xds
