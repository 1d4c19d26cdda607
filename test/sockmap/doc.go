// Package sockmap shows what a socket map does to programs whose sockets are in
// it, and why weir therefore has no sk_msg acceleration (docs/performance.md).
//
// To move what one socket sends straight into its peer's queue (an sk_msg
// program, bpf_msg_redirect_hash) both sockets must be in such maps, and one of
// the two would be that of a program in a pod, which knows nothing of it.
//
//	go test -tags costs -v ./test/sockmap             # as root: what differs
//	go test -tags costs -bench . ./test/sockmap       # what it brings and costs
//
// In: a kernel. Out: a table of what a program sees, without and with the map.
// A row that is not as that page says fails: should the kernel have become better,
// acceleration is worth another look. It is no part of the tests.
package sockmap
