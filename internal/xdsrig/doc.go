// Package xdsrig is a control plane for tests and demonstrations: a real
// go-control-plane server over gRPC on a loopback port.
//
// In: resources as YAML, as files of xDS have them. Out: discovery responses
// to whoever connects, aggregated or by type, and the news whether they were
// accepted. test/demo and test/e2e are the callers.
//
// The contract that bites: a type's version changes only when its resources
// do, so an update of routes is answered by an ACK for routes and no other.
package xdsrig
