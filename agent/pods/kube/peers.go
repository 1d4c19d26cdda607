package kube

import (
	"context"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/tools/cache"

	"github.com/weirproxy/weir/agent/pods"
)

// Peers is a [pods.PeerSource] of all pods of a cluster that have addresses of
// their own. Each agent watches them all then, which costs the API server and
// the agent (about 1 kB a pod).
type Peers struct{ pods cache.SharedIndexInformer }

var _ pods.PeerSource = (*Peers)(nil)

// NewPeers prepares to watch; [Peers.Run] does. Options.Node does not matter.
func NewPeers(o Options) (*Peers, error) {
	client, err := newClient(o.Kubeconfig)
	if err != nil {
		return nil, err
	}
	return newPeers(cache.NewListWatchFromClient(client, "pods", corev1.NamespaceAll, fields.Everything()))
}

func newPeers(watch cache.ListerWatcher) (*Peers, error) {
	p := &Peers{cache.NewSharedIndexInformer(watch, &corev1.Pod{}, 0, nil)}
	return p, p.pods.SetTransform(slimPeer)
}

// Run watches until ctx is done. What was known stays known while the API
// server cannot be reached.
func (p *Peers) Run(ctx context.Context, to pods.Peers) error {
	tell := func(object any) {
		pod := object.(*corev1.Pod)
		if peer, ok := peerOf(pod); ok {
			to.PutPeer(peer)
		} else {
			to.RemovePeer(pods.Key(pod.Namespace, pod.Name))
		}
	}
	told, err := p.pods.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    tell,
		UpdateFunc: func(_, object any) { tell(object) },
		DeleteFunc: func(object any) {
			if namespace, name, err := cache.SplitMetaNamespaceKey(keyOf(object)); err == nil {
				to.RemovePeer(pods.Key(namespace, name))
			}
		},
	})
	if err != nil {
		return err
	}
	go func() {
		if cache.WaitForCacheSync(ctx.Done(), told.HasSynced) {
			to.PeersComplete()
		}
	}()
	p.pods.Run(ctx.Done())
	return nil
}

// keyOf is of a deleted object, or of what is left of one whose end was missed.
func keyOf(object any) string {
	key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(object)
	if err != nil {
		return ""
	}
	return key
}

// peerOf is the pod as a peer; false if it has no address, or not one that is
// its own.
func peerOf(pod *corev1.Pod) (pods.Peer, bool) {
	p := pods.Peer{
		Namespace: pod.Namespace, Name: pod.Name,
		Identity: pods.Identity{ServiceAccount: pod.Spec.ServiceAccountName, Labels: pod.Labels},
	}
	for _, ip := range pod.Status.PodIPs {
		if a, err := netip.ParseAddr(ip.IP); err == nil {
			p.Addresses = append(p.Addresses, a)
		}
	}
	return p, !pod.Spec.HostNetwork && !isDone(pod) && p.Complete() == nil
}

// slimPeer drops what is not read before a pod is kept.
func slimPeer(object any) (any, error) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return object, nil
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace, ResourceVersion: pod.ResourceVersion, Labels: pod.Labels},
		Spec:       corev1.PodSpec{HostNetwork: pod.Spec.HostNetwork, ServiceAccountName: pod.Spec.ServiceAccountName},
		Status:     corev1.PodStatus{Phase: pod.Status.Phase, PodIPs: pod.Status.PodIPs},
	}, nil
}
