package xdsrig

import (
	"context"
	"fmt"
	"strconv"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	cachev3 "github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/xds/decode"
	_ "github.com/weirproxy/weir/xds/protos" // the types that resources may have
)

// resources are those of one type.
type resources struct {
	version int
	list    []types.Resource
	wire    []byte // as they were given, to see whether they change
}

// Set replaces all that is served. yaml is a list of resources, each with its
// "@type", under the key `resources`.
func (s *Server) Set(ctx context.Context, yaml string) error {
	var given discoveryv3.DiscoveryResponse
	if err := decode.Unmarshal([]byte(yaml), decode.YAML, &given); err != nil {
		return err
	}
	byType := map[string][]*anypb.Any{}
	for _, r := range given.Resources {
		byType[r.TypeUrl] = append(byType[r.TypeUrl], r)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for url := range s.types {
		if _, ok := byType[url]; !ok {
			byType[url] = nil // served until now
		}
	}
	snapshot := &cachev3.Snapshot{}
	for url, anys := range byType {
		r, err := s.update(url, anys)
		if err != nil {
			return err
		}
		t := cachev3.GetResponseType(url)
		if t == types.UnknownType {
			return fmt.Errorf("%s is no type of resource", url)
		}
		snapshot.Resources[t] = cachev3.NewResources(strconv.Itoa(r.version), r.list)
	}
	return s.cache.SetSnapshot(ctx, s.node, snapshot)
}

func (s *Server) update(url string, anys []*anypb.Any) (*resources, error) {
	wire, err := proto.MarshalOptions{Deterministic: true}.Marshal(&discoveryv3.DiscoveryResponse{Resources: anys})
	if err != nil {
		return nil, err
	}
	last := s.types[url]
	if last == nil {
		last = &resources{}
	} else if string(last.wire) == string(wire) {
		return last, nil
	}
	now := &resources{version: last.version + 1, wire: wire}
	for _, a := range anys {
		m, err := a.UnmarshalNew()
		if err != nil {
			return nil, err
		}
		now.list = append(now.list, m)
	}
	s.types[url] = now
	return now, nil
}
