//go:build kubernetes

package kubernetes

import (
	"time"
)

// startControlPlane starts etcd, the API server and its controllers.
func (n *node) startControlPlane() {
	pki := n.certs.path
	n.start("etcd",
		"--data-dir", n.mkdir("etcd"), "--unsafe-no-fsync",
		"--listen-client-urls", "http://127.0.0.1:2379", "--advertise-client-urls", "http://127.0.0.1:2379",
		"--listen-peer-urls", "http://127.0.0.1:2380")
	n.start("kube-apiserver",
		"--etcd-servers", "http://127.0.0.1:2379",
		"--advertise-address", nodeIP, "--secure-port", "6443", "--allow-privileged",
		"--service-cluster-ip-range", serviceCIDR, "--authorization-mode", "RBAC",
		"--tls-cert-file", pki("apiserver.crt"), "--tls-private-key-file", pki("apiserver.key"),
		"--client-ca-file", pki("ca.crt"),
		"--kubelet-client-certificate", pki("admin.crt"), "--kubelet-client-key", pki("admin.key"),
		"--kubelet-preferred-address-types", "InternalIP",
		"--service-account-issuer", "https://kubernetes.default.svc",
		"--service-account-key-file", pki("apiserver.crt"), "--service-account-signing-key-file", pki("apiserver.key"))
	n.eventually(5*time.Minute, "the API server is ready", func() error {
		_, err := n.kubectl("get", "--raw", "/readyz")
		return err
	})
	n.start("kube-controller-manager",
		"--kubeconfig", n.certs.kubeconfig(n.t, "controller"),
		"--service-account-private-key-file", pki("apiserver.key"), "--root-ca-file", pki("ca.crt"),
		"--leader-elect=false")
	n.start("kube-scheduler", "--kubeconfig", n.certs.kubeconfig(n.t, "scheduler"), "--leader-elect=false")
}
