// Package filterchain takes a request and its response through HTTP filters:
// it is Envoy's filter manager.
//
// Two use it. The connection manager has a [Chain] for each stream, which ends
// in the router; the router has one for each try at a cluster with filters of
// its own, which ends in the upstream codec. Either gives it what its codec
// decodes (DecodeHead, DecodeBody, DecodeTail); what its last filter answers
// comes back through the chain and leaves it by the calls of [Stream] that
// write.
//
// The contract that bites: any filter may end the stream. Whoever has called
// into a chain asks Over before going on.
package filterchain
