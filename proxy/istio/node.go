package istio

import "google.golang.org/protobuf/types/known/structpb"

// told are the node metadata and the labels that peers are told.
var (
	told       = []string{"NAME", "NAMESPACE", "OWNER", "WORKLOAD_NAME", "CLUSTER_ID"}
	toldLabels = []string{"service.istio.io/canonical-name", "service.istio.io/canonical-revision", "app", "version"}
)

// NodeMetadata is what peers are told of a node: some of its metadata, some of
// its labels and those that are named.
func NodeMetadata(node map[string]any, labels []string) (*structpb.Struct, error) {
	out := map[string]any{}
	for _, k := range told {
		if v, ok := node[k].(string); ok {
			out[k] = v
		}
	}
	if have, ok := node["LABELS"].(map[string]any); ok {
		own := map[string]any{}
		for _, k := range append(labels, toldLabels...) {
			if v, ok := have[k].(string); ok {
				own[k] = v
			}
		}
		out["LABELS"] = own
	}
	return structpb.NewStruct(out)
}
