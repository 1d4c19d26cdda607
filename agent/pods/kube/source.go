package kube

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/tools/cache"

	"github.com/weirproxy/weir/agent/pods"
)

// Options says which cluster, and which of its nodes this is.
type Options struct {
	// Node is this node's name in Kubernetes.
	Node string
	// Kubeconfig is a file; empty: the service account of the pod that the
	// agent runs in.
	Kubeconfig string
	// CgroupRoot is where the cgroup v2 tree is mounted; empty: found.
	CgroupRoot string
	Log        *slog.Logger
}

// Source is a [pods.Source] that watches a node's pods. Its methods may be
// called from any goroutine.
type Source struct {
	opts    Options
	changed chan struct{}

	podInformer, namespaceInformer cache.SharedIndexInformer

	mu      sync.Mutex
	netns   map[string]string // from the CNI plugin, by pod UID
	cgroups map[string]string // found, by pod UID
	said    map[string]string // what was wrong with a pod, by its key
}

var _ pods.Source = (*Source)(nil)

// New prepares to watch; [Source.Run] does.
func New(o Options) (*Source, error) {
	if o.Node == "" {
		return nil, fmt.Errorf("the node's name is missing (--node, or the variable NODE_NAME from spec.nodeName)")
	}
	client, err := newClient(o.Kubeconfig)
	if err != nil {
		return nil, err
	}
	s := &Source{
		opts: o, changed: make(chan struct{}, 1),
		netns: map[string]string{}, cgroups: map[string]string{}, said: map[string]string{},
	}
	ofNode := fields.OneTermEqualSelector("spec.nodeName", o.Node)
	s.podInformer = cache.NewSharedIndexInformer(
		cache.NewListWatchFromClient(client, "pods", corev1.NamespaceAll, ofNode), &corev1.Pod{}, 0, nil)
	s.namespaceInformer = cache.NewSharedIndexInformer(
		cache.NewListWatchFromClient(client, "namespaces", corev1.NamespaceAll, fields.Everything()), &corev1.Namespace{}, 0, nil)
	for _, informer := range []cache.SharedIndexInformer{s.podInformer, s.namespaceInformer} {
		if err := informer.SetTransform(slim); err != nil {
			return nil, err
		}
		if _, err := informer.AddEventHandler(s.handler()); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *Source) handler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { s.notify() },
		UpdateFunc: func(any, any) { s.notify() },
		DeleteFunc: func(any) { s.notify() },
	}
}

func (s *Source) notify() {
	select {
	case s.changed <- struct{}{}:
	default: // it will look anyway
	}
}

// Name implements [pods.Source].
func (s *Source) Name() string { return "kubernetes" }

// Changed implements [pods.Source].
func (s *Source) Changed() <-chan struct{} { return s.changed }

// Run watches until ctx is done. An API server that cannot be reached is tried
// again for ever; what was known stays known.
func (s *Source) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { s.namespaceInformer.Run(ctx.Done()) })
	wg.Go(func() { s.podInformer.Run(ctx.Done()) })
	if cache.WaitForCacheSync(ctx.Done(), s.podInformer.HasSynced, s.namespaceInformer.HasSynced) {
		s.notify()
	}
	wg.Wait()
	return nil
}

// Pods implements [pods.Source].
func (s *Source) Pods() (specs []pods.Spec, known bool) {
	if !s.podInformer.HasSynced() || !s.namespaceInformer.HasSynced() {
		return nil, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := map[string]bool{}
	for _, object := range s.podInformer.GetStore().List() {
		pod := object.(*corev1.Pod)
		seen[string(pod.UID)] = true
		if !wants(pod, s.namespaceLabels(pod.Namespace)) {
			continue
		}
		if spec, ok := s.place(pod); ok {
			specs = append(specs, spec)
		}
	}
	gone := func(uid, _ string) bool { return !seen[uid] }
	maps.DeleteFunc(s.cgroups, gone)
	// The namespaces that CNI named are kept: it may be ahead of the watch.
	slices.SortFunc(specs, func(a, b pods.Spec) int { return strings.Compare(a.Key(), b.Key()) })
	return specs, true
}

// place completes the pod's spec with where it is. A pod that has no process
// yet is nowhere.
func (s *Source) place(pod *corev1.Pod) (pods.Spec, bool) {
	uid, key := string(pod.UID), pods.Key(pod.Namespace, pod.Name)
	sp, err := spec(pod)
	if err == nil {
		sp.Netns, sp.Cgroup = s.netns[uid], s.cgroup(uid)
		if sp.Netns == "" && sp.Cgroup == "" {
			return sp, false
		}
		err = sp.Complete()
	}
	if err != nil {
		if s.said[key] != err.Error() {
			s.said[key] = err.Error()
			s.opts.Log.Error("pod is not caught", "pod", key, "error", err)
		}
		return sp, false
	}
	delete(s.said, key)
	return sp, true
}

func (s *Source) namespaceLabels(name string) map[string]string {
	object, ok, err := s.namespaceInformer.GetStore().GetByKey(name)
	if !ok || err != nil {
		return nil
	}
	return object.(*corev1.Namespace).Labels
}

// cniPatience is how long [Source.Started] waits for the API server to tell of
// a pod that the kubelet starts already.
const cniPatience = 10 * time.Second

// Started tells of a pod that starts, in the network namespace at path, before
// any of its containers runs. It reports whether the pod is to be caught, and
// waits until the API server has told of the pod.
func (s *Source) Started(ctx context.Context, namespace, name, uid, path string) (wanted bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, cniPatience)
	defer cancel()
	pod, err := s.await(ctx, namespace, name, uid)
	if err != nil {
		return false, err
	}
	s.mu.Lock()
	s.netns[string(pod.UID)] = path
	s.mu.Unlock()
	s.notify()
	return wants(pod, s.namespaceLabels(namespace)), nil
}

func (s *Source) await(ctx context.Context, namespace, name, uid string) (*corev1.Pod, error) {
	ticks := time.NewTicker(20 * time.Millisecond)
	defer ticks.Stop()
	for {
		if object, ok, err := s.podInformer.GetStore().GetByKey(namespace + "/" + name); ok && err == nil && s.namespaceInformer.HasSynced() {
			if pod := object.(*corev1.Pod); uid == "" || string(pod.UID) == uid {
				return pod, nil
			}
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("the API server has not told of pod %s/%s within %s", namespace, name, cniPatience)
		case <-ticks.C:
		}
	}
}

// Stopped tells that the pod whose network namespace was at path is gone.
func (s *Source) Stopped(path string) {
	s.mu.Lock()
	maps.DeleteFunc(s.netns, func(_, p string) bool { return p == path })
	s.mu.Unlock()
	s.notify()
}
