// Package manager is the HTTP connection manager: the network filter that
// turns a downstream connection's bytes into streams, runs each stream
// through its HTTP filters both ways, and answers by itself where something
// is wrong.
//
// In come a connection's bytes (network.ReadFilter) and, from the terminal
// filter (the router), responses; out go requests through the filter chain
// and encoded responses. [Compile] makes a [Config] of the protobuf on main;
// its filter factory makes one ConnManager a connection on workers.
//
// A stream's life: the codec calls NewStream, fills the stream's request
// headers and calls DecodeHeaders; the manager checks and normalises them,
// chooses the route, and calls the filters in order; the router answers
// through its callbacks, and the filters see the answer in reverse order; when
// both directions have ended the stream is logged and, at the end of the
// turn, recycled together with those of its filters that can be.
//
// The contract that bites: after any call into a filter, a codec or an
// encoder the stream may be gone; every loop over filters checks s.Ended.
package manager
