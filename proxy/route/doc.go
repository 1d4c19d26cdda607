// Package route is RouteConfiguration compiled: which virtual host and which
// entry a request takes, and what becomes of it there.
//
// [Compile] turns the protobuf into an immutable [Config] on the main thread;
// workers share it without locks. A worker calls [Config.Route] with the
// request's headers and gets a *[Route], the pair of an entry and one of its
// clusters, made at compile time: nothing is allocated. The router asks the
// Route what to do ([Route.Forward], [Route.Redirect], [Route.DirectResponse])
// and has it change the headers ([Route.FinalizeRequestHeaders],
// [Route.FinalizeResponseHeaders]).
//
// Virtual hosts are found in maps: exact domain, longest suffix wildcard,
// longest prefix wildcard, default. Entries are found by an index (exact paths
// in a map, prefixes in a radix tree, the rest in a list) that yields
// candidates in the order of the configuration, so the answer is that of
// trying each in turn, in time that does not grow with their number.
//
// The contract that bites: what is returned is shared by all workers and by
// all requests. It is read, never written; a request's own state (attempts,
// timers, the cluster name taken from a header) is the router's to keep.
package route
