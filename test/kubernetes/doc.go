// Package kubernetes tests weir on a real single node: API server, controller
// manager, scheduler, kubelet, containerd and kube-proxy, with the Helm chart
// installed as a user would.
//
//	make e2e-k8s
//
// builds all of it from source into .cache/kubernetes and runs the tests (tag
// kubernetes, root). Everything runs in a network and a mount namespace of the
// test's own and leaves nothing behind.
//
// node_test.go is the order in which a node comes up; each of its programs has
// a file. app is what runs in the pods.
package kubernetes
