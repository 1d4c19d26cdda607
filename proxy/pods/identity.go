package pods

import (
	"maps"
	"strings"
)

// Identity is who a pod is. It is not changed once it is in a [Table].
type Identity struct {
	Namespace, Name string
	ServiceAccount  string // empty: not known
	Labels          map[string]string

	label string         // NAMESPACE/NAME
	own   map[string]any // filter state of its connections
	peer  map[string]any // filter state of those connected to it
}

// The names of filter state objects.
const (
	OwnKey  = "weir.pod"
	PeerKey = "weir.peer"
)

func (i *Identity) prepare() {
	i.label = i.Name
	if i.Namespace != "" {
		i.label = i.Namespace + "/" + i.Name
	}
	i.own, i.peer = i.state(OwnKey), i.state(PeerKey)
}

func (i *Identity) state(key string) map[string]any {
	state := map[string]any{key: i, key + ".namespace": i.Namespace, key + ".name": i.Name}
	if i.ServiceAccount != "" {
		state[key+".service_account"] = i.ServiceAccount
	}
	for name, value := range i.Labels {
		state[key+".labels."+name] = value
	}
	return state
}

// String is NAMESPACE/NAME, %FILTER_STATE(weir.pod:PLAIN)%.
func (i *Identity) String() string { return i.label }

// Field is %FILTER_STATE(weir.pod:FIELD:name)%.
func (i *Identity) Field(name string) (string, bool) {
	switch name {
	case "namespace":
		return i.Namespace, true
	case "name":
		return i.Name, true
	case "service_account":
		return i.ServiceAccount, i.ServiceAccount != ""
	}
	label, ok := strings.CutPrefix(name, "labels.")
	if !ok {
		return "", false
	}
	value, ok := i.Labels[label]
	return value, ok
}

// stateWith is the filter state of this pod's connections with peer, which may
// be nil.
func (i *Identity) stateWith(peer *Identity) map[string]any {
	if peer == nil {
		return i.own
	}
	both := make(map[string]any, len(i.own)+len(peer.peer))
	maps.Copy(both, i.own)
	maps.Copy(both, peer.peer)
	return both
}
