package kube

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/weirproxy/weir/internal/buildinfo"
)

// newClient speaks the core API only: the generated clientset would bring the
// types of all the others into the binary and into memory.
func newClient(kubeconfig string) (*rest.RESTClient, error) {
	return newClientOf(kubeconfig, "/api", corev1.SchemeGroupVersion, corev1.AddToScheme)
}

func newClientOf(kubeconfig, path string, version schema.GroupVersion, types func(*runtime.Scheme) error) (*rest.RESTClient, error) {
	config, err := restConfig(kubeconfig)
	if err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	if err := types(scheme); err != nil {
		return nil, err
	}
	config.GroupVersion = &version
	config.APIPath = path
	config.ContentType = runtime.ContentTypeProtobuf
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	config.UserAgent = "weir-agent/" + buildinfo.Version()
	return rest.RESTClientFor(config)
}

func restConfig(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" {
		config, err := rest.InClusterConfig()
		if err != nil {
			return nil, fmt.Errorf("the cluster that this runs in: %w (outside of one: --kubeconfig FILE)", err)
		}
		return config, nil
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("--kubeconfig %s: %w", kubeconfig, err)
	}
	return config, nil
}

// slim drops what the agent does not read before an object is kept: on a node
// of 250 pods that is most of the memory.
func slim(object any) (any, error) {
	switch o := object.(type) {
	case *corev1.Pod:
		return &corev1.Pod{
			ObjectMeta: slimMeta(o.ObjectMeta),
			Spec: corev1.PodSpec{
				NodeName: o.Spec.NodeName, HostNetwork: o.Spec.HostNetwork, ServiceAccountName: o.Spec.ServiceAccountName,
			},
			Status: corev1.PodStatus{Phase: o.Status.Phase},
		}, nil
	case *corev1.Namespace:
		return &corev1.Namespace{ObjectMeta: slimMeta(o.ObjectMeta)}, nil
	}
	return object, nil
}

func slimMeta(m metav1.ObjectMeta) metav1.ObjectMeta {
	slim := metav1.ObjectMeta{
		Name: m.Name, Namespace: m.Namespace, UID: m.UID, ResourceVersion: m.ResourceVersion, Labels: m.Labels,
	}
	for name, v := range m.Annotations {
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		if slim.Annotations == nil {
			slim.Annotations = map[string]string{}
		}
		slim.Annotations[name] = v
	}
	return slim
}
