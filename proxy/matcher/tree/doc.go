// Package tree is the generic matcher of xDS (xds.type.matcher.v3.Matcher): a
// tree of conditions on a request or connection whose leaves are actions.
// RBAC, composite filters, custom responses, filter chains and routes have
// their own actions and share all else.
//
// [Compile] takes the protobuf on main, together with a function that
// compiles an action; out comes a [Tree] whose Match is called on workers.
// What inputs read is in [Data], which callers fill and keep: Match writes
// scratch text into it, so that it allocates nothing for the usual inputs.
//
// The contract that bites: a tree may need what is not there yet (a response
// header while the request passes). Match then tells [NotYet], which is not
// the same as [NoMatch].
package tree
