// Package secret is how parts of a configuration get the secrets that they
// name: those of the bootstrap, and those that SDS brings and replaces.
//
// In comes an SdsSecretConfig. Who implements [Provider] (the server) finds
// the secret and tells of each change; TLS contexts use it directly. HTTP
// filters ask their factory context's [Source] for a [Generic], which always
// has the present value.
//
// The contract that bites: a Generic's value is "" as long as its secret is
// not there. Its listener waits for it, but no longer than the
// initial_fetch_timeout, and a route configuration does not wait at all: the
// filter must know what it does without.
package secret
