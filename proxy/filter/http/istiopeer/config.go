package istiopeer

import (
	"encoding/base64"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/istio"
	"github.com/weirproxy/weir/proxy/upstream"
	"github.com/weirproxy/weir/xds/protos"
)

// TypeURL is the type of the filter's configuration, which always comes in a
// TypedStruct.
const TypeURL = "type.googleapis.com/io.istio.http.peer_metadata.Config"

// Maker makes the filter's factories; clusters gives each worker's cluster
// table.
func Maker(clusters func(worker int) *upstream.Table) http.FilterMaker {
	return http.FilterMaker{New: func(p field.Path, config *anypb.Any, ctx *http.FactoryContext) (http.FilterFactory, error) {
		fields, err := protos.Fields(p, config)
		if err != nil {
			return nil, err
		}
		c := compiler{}
		for name, v := range fields {
			if err := c.field(p.Dot(name), name, v); err != nil {
				return nil, err
			}
		}
		f := &factory{settings: c.settings, id: ctx.NodeID, clusters: clusters}
		f.value, err = encode(ctx.NodeMetadata, c.labels)
		return f, p.Wrap(err)
	}}
}

type compiler struct {
	settings
	labels []string
}

func (c *compiler) field(p field.Path, name string, v any) error {
	switch name {
	case "downstream_discovery", "downstreamDiscovery":
		return c.discovery(p, v, &c.fromDownstream)
	case "upstream_discovery", "upstreamDiscovery":
		return c.discovery(p, v, &c.fromUpstream)
	case "downstream_propagation", "downstreamPropagation":
		return c.propagation(p, v, &c.toDownstream)
	case "upstream_propagation", "upstreamPropagation":
		return c.propagation(p, v, &c.toUpstream)
	case "additional_labels", "additionalLabels":
		list, ok := v.([]any)
		for _, l := range list {
			s, isText := l.(string)
			ok = ok && isText
			c.labels = append(c.labels, s)
		}
		if !ok {
			return p.Errorf("want a list of strings")
		}
		return nil
	case "shared_with_upstream", "sharedWithUpstream":
		if v == false {
			return nil
		}
	}
	return p.Errorf("weir does not support this field of istio.peer_metadata")
}

// methods yields the one field of each object in a list.
func methods(p field.Path, v any, each func(p field.Path, name string, config map[string]any) error) error {
	list, ok := v.([]any)
	if !ok {
		return p.Errorf("want a list")
	}
	for i, m := range list {
		object, _ := m.(map[string]any)
		if len(object) != 1 {
			return p.Index(i).Errorf("want one method")
		}
		for name, config := range object {
			config, _ := config.(map[string]any)
			if err := each(p.Index(i).Dot(name), name, config); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *compiler) discovery(p field.Path, v any, headers *bool) error {
	return methods(p, v, func(p field.Path, name string, _ map[string]any) error {
		switch name {
		case "istio_headers", "istioHeaders":
			*headers = true
		case "workload_discovery", "workloadDiscovery":
		default:
			return p.Errorf("weir does not support this way to know a peer")
		}
		return nil
	})
}

func (c *compiler) propagation(p field.Path, v any, to **propagation) error {
	return methods(p, v, func(p field.Path, name string, config map[string]any) error {
		if name != "istio_headers" && name != "istioHeaders" {
			return p.Errorf("weir does not support this way to tell a peer")
		}
		*to = &propagation{}
		for k, v := range config {
			skip, isBool := v.(bool)
			if k != "skip_external_clusters" && k != "skipExternalClusters" || !isBool {
				return p.Dot(k).Errorf("weir does not support this")
			}
			(*to).skipExternal = skip
		}
		return nil
	})
}

// encode is the header that tells a peer of this node.
func encode(node map[string]any, labels []string) (string, error) {
	s, err := istio.NodeMetadata(node, labels)
	if err != nil {
		return "", err
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(s)
	return base64.StdEncoding.EncodeToString(b), err
}

// decode reads a peer's header; nil when it is not one.
func decode(header string) map[string]any {
	b, err := base64.StdEncoding.DecodeString(header)
	if err != nil {
		return nil
	}
	s := &structpb.Struct{}
	if proto.Unmarshal(b, s) != nil {
		return nil
	}
	return s.AsMap()
}
