package kube

import (
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/weirproxy/weir/agent/pods"
)

// What people write on pods and namespaces.
const (
	// LabelCatch on a pod, or else on its namespace, asks for the pod to be
	// caught ("true") or left alone ("false").
	LabelCatch = "weir.dev/catch"
	// AnnotationCatch with "false" leaves a pod alone whatever the labels say.
	AnnotationCatch = "weir.dev/catch"
	// AnnotationExcludeInbound is a list of ports: 9090,9091.
	AnnotationExcludeInbound = "weir.dev/exclude-inbound-ports"
	// AnnotationMode is mark or rewrite.
	AnnotationMode = "weir.dev/mode"
	// AnnotationPolicy is closed or open.
	AnnotationPolicy = "weir.dev/policy"
	// AnnotationInbound with "false" catches outbound connections only.
	AnnotationInbound = "weir.dev/inbound"
	// AnnotationDNS with "true" or "false" catches the pod's DNS or leaves it
	// alone, whatever the agent's default is.
	AnnotationDNS = "weir.dev/dns"
)

// wants reports whether pod is to be caught; namespace are its namespace's
// labels.
func wants(pod *corev1.Pod, namespace map[string]string) bool {
	if pod.Spec.HostNetwork || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return false
	}
	if pod.Annotations[AnnotationCatch] == "false" {
		return false
	}
	if own, ok := pod.Labels[LabelCatch]; ok {
		return own == "true"
	}
	return namespace[LabelCatch] == "true"
}

// spec is how pod is caught. An annotation that makes no sense is an error:
// the pod is then not caught, and status says why.
func spec(pod *corev1.Pod) (pods.Spec, error) {
	s := pods.Spec{
		Name: pod.Name, Namespace: pod.Namespace,
		Identity: pods.Identity{ServiceAccount: pod.Spec.ServiceAccountName, Labels: pod.Labels},
		Mode:     pods.Mode(pod.Annotations[AnnotationMode]),
		Policy:   pods.Policy(pod.Annotations[AnnotationPolicy]),
	}
	var err error
	if s.Inbound, err = choice(pod, AnnotationInbound); err != nil {
		return s, err
	}
	if s.DNS, err = choice(pod, AnnotationDNS); err != nil {
		return s, err
	}
	if s.ExcludeInboundPorts, err = ports(pod.Annotations[AnnotationExcludeInbound]); err != nil {
		return s, fmt.Errorf("annotation %s: %w", AnnotationExcludeInbound, err)
	}
	return s, nil
}

// choice is nil where the annotation is not given.
func choice(pod *corev1.Pod, annotation string) (*bool, error) {
	chosen := false
	switch v := pod.Annotations[annotation]; v {
	case "":
		return nil, nil
	case "true":
		chosen = true
	case "false":
	default:
		return nil, fmt.Errorf("annotation %s: %q is neither true nor false", annotation, v)
	}
	return &chosen, nil
}

func ports(list string) ([]uint16, error) {
	var out []uint16
	for field := range strings.SplitSeq(list, ",") {
		field = strings.TrimSpace(field)
		if field == "" {
			continue
		}
		n, err := strconv.ParseUint(field, 10, 16)
		if err != nil || n == 0 {
			return nil, fmt.Errorf("%q is not a port", field)
		}
		out = append(out, uint16(n))
	}
	return out, nil
}
