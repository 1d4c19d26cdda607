package kube

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weirproxy/weir/agent/pods"
)

func TestWants(t *testing.T) {
	on, off := map[string]string{LabelCatch: "true"}, map[string]string{LabelCatch: "false"}
	for name, tt := range map[string]struct {
		pod       corev1.Pod
		namespace map[string]string
		want      bool
	}{
		"nothing asked":         {},
		"by namespace":          {namespace: on, want: true},
		"by pod":                {pod: corev1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: on}}, want: true},
		"pod against namespace": {pod: corev1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: off}}, namespace: on},
		"opted out":             {pod: corev1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: on, Annotations: off}}, namespace: on},
		"host network":          {pod: corev1.Pod{Spec: corev1.PodSpec{HostNetwork: true}}, namespace: on},
		"done":                  {pod: corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodSucceeded}}, namespace: on},
		"running":               {pod: corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodRunning}}, namespace: on, want: true},
	} {
		if got := wants(&tt.pod, tt.namespace); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestSpec(t *testing.T) {
	pod := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: "web", Namespace: "shop", Labels: map[string]string{"app": "web"},
			Annotations: map[string]string{
				AnnotationMode: "rewrite", AnnotationPolicy: "open", AnnotationInbound: "false", AnnotationExcludeInbound: "9090, 9091",
				AnnotationExcludeCIDRs: "10.8.0.0/16,fd00::/8", AnnotationExcludePorts: "5432", AnnotationExcludeUIDs: "101, 65532", AnnotationKeepClient: "false",
				AnnotationDNS: "true",
			},
		},
		Spec: corev1.PodSpec{ServiceAccountName: "seller"},
	}
	kept, err := slim(&pod)
	if err != nil {
		t.Fatal(err)
	}
	got, err := spec(kept.(*corev1.Pod))
	if err != nil {
		t.Fatal(err)
	}
	if got.DNS == nil || !*got.DNS {
		t.Errorf("dns: %v", got.DNS)
	}
	if got.Key() != "shop/web" || got.Mode != pods.Rewrite || got.Policy != pods.Open || *got.Inbound ||
		!slices.Equal(got.ExcludeInboundPorts, []uint16{9090, 9091}) ||
		got.Identity.ServiceAccount != "seller" || got.Identity.Labels["app"] != "web" {
		t.Errorf("%+v", got)
	}
	if len(got.CIDRs) != 2 || !slices.Equal(got.Ports, []uint16{5432}) || !slices.Equal(got.UIDs, []uint32{101, 65532}) {
		t.Errorf("exclusions %+v", got.Exclusions)
	}
	for annotation, value := range map[string]string{
		AnnotationExcludeCIDRs: "10.8.0.0", AnnotationExcludePorts: "0", AnnotationExcludeUIDs: "root", AnnotationKeepClient: "1", AnnotationExcludeInbound: "http", AnnotationInbound: "maybe", AnnotationDNS: "53"} {
		pod.Annotations = map[string]string{annotation: value}
		if _, err := spec(&pod); err == nil || !strings.Contains(err.Error(), annotation) {
			t.Errorf("%s: %s: %v", annotation, value, err)
		}
	}
}

func TestFindCgroup(t *testing.T) {
	const uid = "0b2c5a3e-8d0f-4b7a-9a51-2f60cc3f7f10"
	for _, dir := range []string{
		"kubepods/burstable/pod" + uid,
		"kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + strings.ReplaceAll(uid, "-", "_") + ".slice",
		"a/b/kubelet/kubepods/pod" + uid,
	} {
		root := t.TempDir()
		want := filepath.Join(root, dir)
		if err := os.MkdirAll(filepath.Join(want, "container"), 0o755); err != nil {
			t.Fatal(err)
		}
		if got := findCgroup(root, uid); got != want {
			t.Errorf("%s: found %q", dir, got)
		}
		if got := findCgroup(root, "other"); got != "" {
			t.Errorf("another pod is at %s", got)
		}
	}
}
