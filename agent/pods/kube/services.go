package kube

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/weirproxy/weir/agent/pods"
)

// LabelBalance on a Service, with "connect", has what managed pods connect to
// its TCP ports go to one of its endpoints at connect, past the proxy. It is a
// label because Kubernetes copies a Service's labels to its EndpointSlices: the
// agent watches those that have it and no others.
const LabelBalance = "weir.dev/balance"

const balanceAtConnect = LabelBalance + "=connect"

// Services is a [pods.ServiceSource] of a cluster's Services with
// [LabelBalance].
type Services struct {
	changed          chan struct{}
	services, slices cache.SharedIndexInformer
}

var _ pods.ServiceSource = (*Services)(nil)

// NewServices prepares to watch; [Services.Run] does.
func NewServices(o Options) (*Services, error) {
	core, err := newClient(o.Kubeconfig)
	if err != nil {
		return nil, err
	}
	discovery, err := newClientOf(o.Kubeconfig, "/apis", discoveryv1.SchemeGroupVersion, discoveryv1.AddToScheme)
	if err != nil {
		return nil, err
	}
	s := &Services{changed: make(chan struct{}, 1)}
	s.services = labelled(core, "services", &corev1.Service{})
	s.slices = labelled(discovery, "endpointslices", &discoveryv1.EndpointSlice{})
	handler := cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { s.notify() }, UpdateFunc: func(any, any) { s.notify() }, DeleteFunc: func(any) { s.notify() },
	}
	for _, informer := range []cache.SharedIndexInformer{s.services, s.slices} {
		if _, err := informer.AddEventHandler(handler); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func labelled(client *rest.RESTClient, resource string, object runtime.Object) cache.SharedIndexInformer {
	watch := cache.NewFilteredListWatchFromClient(client, resource, corev1.NamespaceAll, func(o *metav1.ListOptions) { o.LabelSelector = balanceAtConnect })
	return cache.NewSharedIndexInformer(watch, object, 0, nil)
}

func (s *Services) notify() {
	select {
	case s.changed <- struct{}{}:
	default: // it will look anyway
	}
}

// Changed implements [pods.ServiceSource].
func (s *Services) Changed() <-chan struct{} { return s.changed }

// Run watches until ctx is done. What was known stays known while the API
// server cannot be reached.
func (s *Services) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { s.services.Run(ctx.Done()) })
	wg.Go(func() { s.slices.Run(ctx.Done()) })
	if cache.WaitForCacheSync(ctx.Done(), s.services.HasSynced, s.slices.HasSynced) {
		s.notify()
	}
	wg.Wait()
	return nil
}

// Services implements [pods.ServiceSource].
func (s *Services) Services() (all []pods.Service, known bool) {
	if !s.services.HasSynced() || !s.slices.HasSynced() {
		return nil, false
	}
	endpoints := map[string][]*discoveryv1.EndpointSlice{}
	for _, object := range s.slices.GetStore().List() {
		slice := object.(*discoveryv1.EndpointSlice)
		key := pods.Key(slice.Namespace, slice.Labels[discoveryv1.LabelServiceName])
		endpoints[key] = append(endpoints[key], slice)
	}
	for _, object := range s.services.GetStore().List() {
		service := object.(*corev1.Service)
		all = append(all, balanced(service, endpoints[pods.Key(service.Namespace, service.Name)])...)
	}
	slices.SortFunc(all, func(a, b pods.Service) int { return a.Address.Compare(b.Address) })
	return all, true
}

// balanced is a Service's TCP ports at its cluster addresses, those that have
// endpoints which are ready. What asks for more than any endpoint is left to
// kube-proxy.
func balanced(service *corev1.Service, endpointSlices []*discoveryv1.EndpointSlice) []pods.Service {
	if service.Spec.SessionAffinity == corev1.ServiceAffinityClientIP || service.Spec.TrafficDistribution != nil ||
		service.Spec.InternalTrafficPolicy != nil && *service.Spec.InternalTrafficPolicy == corev1.ServiceInternalTrafficPolicyLocal {
		return nil
	}
	var out []pods.Service
	for _, text := range service.Spec.ClusterIPs {
		ip, err := netip.ParseAddr(text)
		if err != nil {
			continue // "None": it has no address
		}
		for _, port := range service.Spec.Ports {
			if port.Protocol != corev1.ProtocolTCP && port.Protocol != "" {
				continue
			}
			s := pods.Service{
				Name:      pods.Key(service.Namespace, service.Name),
				Address:   netip.AddrPortFrom(ip, uint16(port.Port)),
				Endpoints: ready(endpointSlices, port.Name, ip.Is4()),
			}
			if s.Check() == nil {
				out = append(out, s)
			}
		}
	}
	return out
}

// ready are the endpoints of a family that take new connections.
func ready(endpointSlices []*discoveryv1.EndpointSlice, port string, is4 bool) (out []netip.AddrPort) {
	for _, slice := range endpointSlices {
		i := slices.IndexFunc(slice.Ports, func(p discoveryv1.EndpointPort) bool {
			return p.Port != nil && (p.Name == nil && port == "" || p.Name != nil && *p.Name == port)
		})
		if i < 0 {
			continue
		}
		for _, e := range slice.Endpoints {
			if e.Conditions.Ready != nil && !*e.Conditions.Ready {
				continue
			}
			for _, text := range e.Addresses {
				if ip, err := netip.ParseAddr(text); err == nil && ip.Is4() == is4 {
					out = append(out, netip.AddrPortFrom(ip, uint16(*slice.Ports[i].Port)))
				}
			}
		}
	}
	slices.SortFunc(out, func(a, b netip.AddrPort) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(out)
}
