// Package costs measures what the node path costs, and fails where that is
// more than it may be (the bars of docs/performance.md): in the kernel, by the
// run-time statistics of the eBPF programs; in the agent; and on the way
// through it all to the first byte.
//
//	make bench-node
//	go test -tags costs -v -run TestFirstByte ./test/costs    # as root
//
// In: the weir binary (WEIR, or one built from this tree). Out: lines of a
// table on standard output. It is no part of the tests: a machine that does
// much else at the time says little.
package costs
