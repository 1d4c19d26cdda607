// Package e2e tests the node path whole: the weir binary as agent and as
// unprivileged proxy, pods in network namespaces, plain curl and python as
// their programs. What the agent does by itself, and real Envoy in weir's
// place, is tested in package agent.
//
//	make test-e2e
//	go test -tags e2e ./test/e2e -run TestOutbound -v    # as root
//
// The environment can name the binary (WEIR); without it, it is built from
// this tree. The rig is internal/noderig, which the demo uses, too.
package e2e
