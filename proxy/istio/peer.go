package istio

import (
	"maps"
	"slices"
	"strings"
)

// Peer is a workload, in the filter state. Its fields have Istio's names.
type Peer map[string]string

// NewPeer takes what is of use out of a node's metadata.
func NewPeer(m map[string]any) Peer {
	labels, _ := m["LABELS"].(map[string]any)
	p := Peer{}
	for name, v := range map[string]any{
		"name": m["NAME"], "namespace": m["NAMESPACE"], "workload": m["WORKLOAD_NAME"], "cluster": m["CLUSTER_ID"], "owner": m["OWNER"],
		"service": labels["service.istio.io/canonical-name"], "revision": labels["service.istio.io/canonical-revision"],
		"app": labels["app"], "version": labels["version"],
	} {
		if s, ok := v.(string); ok {
			p[name] = s
		}
	}
	return p
}

// String implements streaminfo.FilterStateObject.
func (p Peer) String() string {
	var b strings.Builder
	for i, name := range slices.Sorted(maps.Keys(p)) {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(name + "=" + p[name])
	}
	return b.String()
}

// Field implements streaminfo.FilterStateObject.
func (p Peer) Field(name string) (string, bool) {
	v, ok := p[name]
	return v, ok
}
