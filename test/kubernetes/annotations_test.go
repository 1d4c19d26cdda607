//go:build kubernetes

package kubernetes

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// What becomes of a connection or a question.
const (
	isCaught    = "caught"
	isLeftAlone = "left alone"
)

// annotationsHold annotates a pod that runs, sees what changes, and takes the
// annotation away again.
func (n *node) annotationsHold(t *testing.T) {
	for _, test := range []struct {
		annotation string
		try        func() (string, error)
		with       string
		without    string
	}{
		{"dns=false", n.meshName, isLeftAlone, isCaught},
		{"exclude-outbound-ports=82", n.outbound, isLeftAlone, isCaught},
		{"exclude-outbound-cidrs=10.96.0.80/32", n.outbound, isLeftAlone, isCaught},
		{"exclude-uids=4242", n.outbound, isLeftAlone, isCaught},
		{"mode=rewrite", n.outbound, isCaught + " by rewriting", isCaught},
		{"mode=magic", n.outbound, isLeftAlone, isCaught}, // makes no sense
		{"catch=false", n.outbound, isLeftAlone, isCaught},
		{"exclude-inbound-ports=8080", n.inbound, isLeftAlone, isCaught},
		{"inbound=false", n.inbound, isLeftAlone, isCaught},
		{"keep-client-address=true", n.clientSeen, "the client", "the pod"},
	} {
		key, _, _ := strings.Cut(test.annotation, "=")
		for _, step := range []struct{ argument, want string }{{test.annotation, test.with}, {key + "-", test.without}} {
			n.must("kubectl", "-n", "shop", "annotate", "pod", "probe", "weir.dev/"+step.argument)
			n.eventually(time.Minute, step.argument+": "+step.want, func() error {
				got, err := test.try()
				if err == nil && got != step.want {
					err = fmt.Errorf("%s", got)
				}
				return err
			})
		}
	}
}

// outbound tells what becomes of a connection that the probe makes.
func (n *node) outbound() (string, error) {
	return n.whether("outbound", func() error {
		_, err := n.probe("get", "http://10.96.0.80:82/")
		return err
	})
}

// inbound tells what becomes of a connection that is made to the probe.
func (n *node) inbound() (string, error) {
	return n.whether("inbound", func() error {
		_, err := n.askProbe()
		return err
	})
}

// whether tells what becomes of the one connection that connect makes, as the
// proxy has counted it.
func (n *node) whether(direction string, connect func() error) (string, error) {
	before := n.connections(direction)
	if err := connect(); err != nil {
		return "", err
	}
	if n.connections(direction) == before {
		return isLeftAlone, nil
	}
	s, err := n.status()
	for _, p := range s.Pods {
		if p.Name == "probe" && p.Mode == "rewrite" {
			return isCaught + " by rewriting", err
		}
	}
	return isCaught, err
}

// connections is how many of the probe's the proxy has seen; of a pod that is
// not caught it knows nothing.
func (n *node) connections(direction string) int {
	labels := fmt.Sprintf(`weir_namespace="shop",weir_pod="probe",weir_direction=%q`, direction)
	seen, _ := n.metric("envoy_pod_downstream_cx_total", labels)
	return seen
}

// clientSeen tells whom the probe's program takes for its client.
func (n *node) clientSeen() (string, error) {
	answer, err := n.askProbe()
	if err != nil {
		return "", err
	}
	if strings.Contains(answer, " sees 10.244.0.1:") { // the node
		return "the client", nil
	}
	return "the pod", nil
}

func (n *node) askProbe() (string, error) {
	ip, err := n.kubectl("-n", "shop", "get", "pod", "probe", "-o", "jsonpath={.status.podIP}")
	if err != nil {
		return "", err
	}
	return get("http://" + ip + ":8080/")
}

// meshName tells whether the probe's DNS is caught: nobody else knows the mesh.
func (n *node) meshName() (string, error) {
	if _, err := n.probe("lookup", "shop.mesh"); err != nil {
		return isLeftAlone, nil
	}
	return isCaught, nil
}
