package kube

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

func to[T any](v T) *T { return &v }

func TestBalanced(t *testing.T) {
	slice := func(port string, n int32, notReady string, addresses ...string) *discoveryv1.EndpointSlice {
		s := &discoveryv1.EndpointSlice{Ports: []discoveryv1.EndpointPort{{Name: &port, Port: &n}}}
		for _, a := range addresses {
			s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{
				Addresses: []string{a}, Conditions: discoveryv1.EndpointConditions{Ready: to(a != notReady)},
			})
		}
		return s
	}
	slices := []*discoveryv1.EndpointSlice{
		slice("redis", 6379, "10.1.0.6", "10.1.0.7", "10.1.0.5", "10.1.0.6"),
		slice("redis", 6380, "", "10.1.0.8"), // by a named target port
		slice("redis", 6379, "", "fd00::5"),
		slice("other", 9121, "", "10.1.0.5"),
	}
	spec := func(change func(*corev1.ServiceSpec)) *corev1.Service {
		s := &corev1.Service{}
		s.Namespace, s.Name = "shop", "redis"
		s.Spec.ClusterIPs = []string{"10.96.0.7", "fd96::7"}
		s.Spec.Ports = []corev1.ServicePort{{Name: "redis", Port: 6000}, {Name: "dns", Port: 53, Protocol: corev1.ProtocolUDP}, {Name: "none", Port: 7}}
		if change != nil {
			change(&s.Spec)
		}
		return s
	}
	both := "[{shop/redis 10.96.0.7:6000 [10.1.0.5:6379 10.1.0.7:6379 10.1.0.8:6380]} {shop/redis [fd96::7]:6000 [[fd00::5]:6379]}]"
	for name, tt := range map[string]struct {
		change func(*corev1.ServiceSpec)
		want   string
	}{
		"as it is":      {nil, both},
		"headless":      {func(s *corev1.ServiceSpec) { s.ClusterIPs = []string{"None"} }, "[]"},
		"by client":     {func(s *corev1.ServiceSpec) { s.SessionAffinity = corev1.ServiceAffinityClientIP }, "[]"},
		"the node's":    {func(s *corev1.ServiceSpec) { s.InternalTrafficPolicy = to(corev1.ServiceInternalTrafficPolicyLocal) }, "[]"},
		"the zone's":    {func(s *corev1.ServiceSpec) { s.TrafficDistribution = to("PreferClose") }, "[]"},
		"no such port":  {func(s *corev1.ServiceSpec) { s.Ports = s.Ports[1:] }, "[]"},
		"the cluster's": {func(s *corev1.ServiceSpec) { s.InternalTrafficPolicy = to(corev1.ServiceInternalTrafficPolicyCluster) }, both},
	} {
		if got := fmt.Sprint(balanced(spec(tt.change), slices)); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}
