// Package dns resolves upstream names as c-ares does for Envoy: /etc/hosts
// first, then the name servers and search domains of /etc/resolv.conf or of
// the configuration, with the records' TTLs.
//
// A [Resolver] looks names up on goroutines of its own and hands each answer
// to a function that it is given; the cluster manager has that post to main.
package dns
