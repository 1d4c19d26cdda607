// Package conformance runs other people's test suites against weir: h2spec,
// gRPC's interoperability tests and connect's conformance suite, and net/http
// on both sides of it.
//
//	go test -tags e2e ./test/conformance
//
// The suites are Go programs of fixed versions, which the go command fetches
// and builds into its cache. Where one can't be had its test is skipped,
// saying so, but fails when CI=true.
package conformance
