package kube

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/weirproxy/weir/agent/pods"
)

// What people write on pods and namespaces.
const (
	// prefix is what all of it begins with.
	prefix = "weir.dev/"
	// LabelCatch on a pod, or else on its namespace, asks for the pod to be
	// caught ("true") or left alone ("false").
	LabelCatch = "weir.dev/catch"
	// AnnotationCatch with "false" leaves a pod alone whatever the labels say.
	AnnotationCatch = "weir.dev/catch"
	// AnnotationExcludeInbound is a list of ports: 9090,9091.
	AnnotationExcludeInbound = "weir.dev/exclude-inbound-ports"
	// AnnotationExcludeCIDRs is a list of ranges: 10.8.0.0/16,fd00::/8. What
	// the pod connects to there is left alone.
	AnnotationExcludeCIDRs = "weir.dev/exclude-outbound-cidrs"
	// AnnotationExcludePorts is a list of ports that the pod connects to: 5432.
	AnnotationExcludePorts = "weir.dev/exclude-outbound-ports"
	// AnnotationExcludeUIDs is a list of users whose processes' connections
	// are left alone: 101,65532.
	AnnotationExcludeUIDs = "weir.dev/exclude-uids"
	// AnnotationMode is mark or rewrite.
	AnnotationMode = "weir.dev/mode"
	// AnnotationPolicy is closed or open.
	AnnotationPolicy = "weir.dev/policy"
	// AnnotationKeepClient with "true" has the pod's program see the client's
	// address.
	AnnotationKeepClient = "weir.dev/keep-client-address"
	// AnnotationInbound with "false" catches outbound connections only.
	AnnotationInbound = "weir.dev/inbound"
	// AnnotationDNS with "true" or "false" catches the pod's DNS or leaves it
	// alone, whatever the agent's default is.
	AnnotationDNS = "weir.dev/dns"
)

// wants reports whether pod is to be caught; namespace are its namespace's
// labels.
func wants(pod *corev1.Pod, namespace map[string]string) bool {
	if pod.Spec.HostNetwork || isDone(pod) {
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

func isDone(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
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
	keep, err := choice(pod, AnnotationKeepClient)
	if err != nil {
		return s, err
	}
	s.KeepClientAddress = keep != nil && *keep
	if s.Exclusions, err = exclusions(pod.Annotations); err != nil {
		return s, err
	}
	return s, nil
}

func exclusions(annotations map[string]string) (pods.Exclusions, error) {
	var e pods.Exclusions
	var err error
	if e.CIDRs, err = each(annotations[AnnotationExcludeCIDRs], netip.ParsePrefix); err != nil {
		return e, fmt.Errorf("annotation %s: %w", AnnotationExcludeCIDRs, err)
	}
	if e.Ports, err = ports(annotations[AnnotationExcludePorts]); err != nil {
		return e, fmt.Errorf("annotation %s: %w", AnnotationExcludePorts, err)
	}
	if e.UIDs, err = each(annotations[AnnotationExcludeUIDs], uid); err != nil {
		return e, fmt.Errorf("annotation %s: %w", AnnotationExcludeUIDs, err)
	}
	return e, nil
}

func uid(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is not a user's number", s)
	}
	return uint32(n), nil
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

// each parses a list of values with commas between.
func each[T any](list string, parse func(string) (T, error)) (out []T, err error) {
	for field := range strings.SplitSeq(list, ",") {
		if field = strings.TrimSpace(field); field == "" {
			continue
		}
		value, err := parse(field)
		if err != nil {
			return nil, err
		}
		out = append(out, value)
	}
	return out, nil
}

func port(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is not a port", s)
	}
	return uint16(n), nil
}

func ports(list string) ([]uint16, error) { return each(list, port) }
