package xds

import (
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/xds/protos"
)

// Resource is one resource of an update, decoded and validated.
type Resource struct {
	Name    string
	Version string        // its own, or that of the response that brought it
	Hash    uint64        // of Raw: equal hashes are equal resources
	Message proto.Message // e.g. *listenerv3.Listener; shared, so read only
	Raw     *anypb.Any    // as it came, for /config_dump
}

// whole are the types of which a response is the whole set. There no name may
// come twice. The first counts, there as elsewhere.
var whole = map[string]bool{ListenerType: true, ClusterType: true, ScopedRouteType: true}

// decodeAll decodes the resources of one response. The error joins those of
// all bad resources; then no resource is given.
func decodeAll(typeURL, version string, raws []*anypb.Any) update {
	u := update{version: version, resources: make([]Resource, 0, len(raws)), byName: make(map[string]int, len(raws))}
	var errs []error
	for i, raw := range raws {
		r, err := decodeOne(typeURL, version, raw)
		if _, twice := u.byName[r.Name]; err == nil && twice {
			if whole[typeURL] {
				u.twice = fmt.Errorf("%s: duplicate %s in the response", r.Name, shortType(typeURL))
			}
			continue
		}
		if err == nil {
			u.byName[r.Name] = len(u.resources)
			u.resources = append(u.resources, r)
			continue
		}
		name := r.Name
		if name == "" {
			name = fmt.Sprintf("resources[%d]", i)
		}
		errs = append(errs, fmt.Errorf("%s: %w", name, err))
	}
	return u.withErrors(errs)
}

// withErrors is the update, or if there are errors one with them only.
func (u update) withErrors(errs []error) update {
	if len(errs) > 0 {
		return update{version: u.version, err: errors.Join(errs...)}
	}
	return u
}

const wrapperType = "type.googleapis.com/envoy.service.discovery.v3.Resource"

// decodeOne decodes a resource, bare or wrapped in a discovery Resource. On an
// error the name is given if it got so far.
func decodeOne(typeURL, version string, raw *anypb.Any) (Resource, error) {
	r := Resource{Version: version, Raw: raw}
	if raw.GetTypeUrl() == wrapperType {
		var w discoveryv3.Resource
		if err := proto.Unmarshal(raw.Value, &w); err != nil {
			return r, err
		}
		r.Name, r.Raw = w.Name, w.Resource
		if w.Ttl != nil {
			return r, errors.New("weir does not support ttl of envoy.service.discovery.v3.Resource")
		}
		if w.Version != "" {
			r.Version = w.Version
		}
	}
	if got := r.Raw.GetTypeUrl(); got != typeURL {
		return r, fmt.Errorf("type %q in a response for %q", got, typeURL)
	}
	m, err := r.Raw.UnmarshalNew()
	if err != nil {
		return r, err
	}
	name := nameOf(m)
	if r.Name == "" {
		r.Name = name
	}
	if r.Name == "" {
		return r, errors.New("the resource has no name")
	}
	if err := protos.Validate(field.Path(""), m); err != nil {
		return r, err
	}
	r.Message = m
	r.Hash = xxhash.Sum64(r.Raw.Value)
	return r, nil
}

// nameOf is the field by which a resource of any type is named.
func nameOf(m proto.Message) string {
	d := m.ProtoReflect().Descriptor().Fields()
	for _, name := range []protoreflect.Name{"name", "cluster_name"} {
		if f := d.ByName(name); f != nil && f.Kind() == protoreflect.StringKind {
			return m.ProtoReflect().Get(f).String()
		}
	}
	return ""
}
