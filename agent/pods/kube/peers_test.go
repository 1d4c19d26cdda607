package kube

import (
	"context"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	fcache "k8s.io/client-go/tools/cache/testing"

	"github.com/weirproxy/weir/agent/pods"
)

// heard is what a source of peers tells.
type heard chan string

func (h heard) PutPeer(p pods.Peer) {
	h <- fmt.Sprint(p.Key(), " ", p.Addresses, " ", p.Identity.ServiceAccount, " ", p.Identity.Labels["app"])
}
func (h heard) RemovePeer(key string) { h <- "no " + key }
func (h heard) PeersComplete()        { h <- "complete" }

func TestPeers(t *testing.T) {
	api := fcache.NewFakeControllerSource()
	pod := func(name, ip string, change func(*corev1.Pod)) *corev1.Pod {
		p := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Labels: map[string]string{"app": name}},
			Spec:       corev1.PodSpec{ServiceAccountName: "seller", NodeName: "elsewhere"},
		}
		if ip != "" {
			p.Status.PodIPs = []corev1.PodIP{{IP: ip}, {IP: "fd00::5"}}
		}
		if change != nil {
			change(p)
		}
		return p
	}
	api.Add(pod("web", "10.2.0.5", nil))
	peers, err := newPeers(api)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	h, done := make(heard), make(chan error)
	go func() { done <- peers.Run(ctx, h) }()
	want := func(want string) {
		t.Helper()
		if got := <-h; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	want("shop/web [10.2.0.5 fd00::5] seller web")
	want("complete")
	api.Add(pod("starting", "", nil))
	want("no shop/starting")
	api.Modify(pod("starting", "10.2.0.6", nil))
	want("shop/starting [10.2.0.6 fd00::5] seller starting")
	api.Modify(pod("starting", "10.2.0.6", func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }))
	want("no shop/starting")
	api.Add(pod("host", "192.0.2.1", func(p *corev1.Pod) { p.Spec.HostNetwork = true }))
	want("no shop/host")
	api.Delete(pod("web", "10.2.0.5", nil))
	want("no shop/web")
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
