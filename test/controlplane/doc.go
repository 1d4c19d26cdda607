// Package controlplane runs go-control-plane's own integration test with weir
// in Envoy's place: a management server that changes every name three times,
// and a client that wants the exact answer on every port within 100 ms.
//
//	go test ./test/controlplane          # the five suites: ads, xds, rest, mux, delta
//	go test -short ./test/controlplane   # nothing: it takes a minute
package controlplane
