package server

import (
	"context"
	"fmt"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/runtime/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/admin"
	"github.com/weirproxy/weir/proxy/runtime"
	"github.com/weirproxy/weir/xds"
)

func (s *server) makeRuntime() (err error) {
	s.runtime, err = runtime.New("layered_runtime", s.bootstrap.GetLayeredRuntime(), runtime.Options{
		ServiceCluster: s.bootstrap.GetNode().GetCluster(), Stats: s.stats, Log: s.log.get("runtime"),
	})
	return err
}

// startRuntime reads and watches the runtime's disk layers and subscribes to
// its RTDS layers. It calls ready when each of these has its first values, or
// has waited for them long enough.
func (s *server) startRuntime(ctx context.Context, ready func()) error {
	if err := s.runtime.WatchDisk(ctx); err != nil {
		return err
	}
	waiting := 1
	done := func() {
		if waiting--; waiting == 0 {
			ready()
		}
	}
	for i, l := range s.bootstrap.GetLayeredRuntime().GetLayers() {
		rtds := l.GetRtdsLayer()
		if rtds == nil {
			continue
		}
		p := field.Path("layered_runtime.layers").Index(i).Dot("rtds_layer")
		name := rtds.GetName()
		if name == "" {
			name = l.GetName()
		}
		waiting++
		first := true
		served := func() {
			if first {
				first = false
				done()
			}
		}
		_, err := s.xds.Subscribe(xds.Request{
			Source: rtds.GetRtdsConfig(), Path: p.Dot("rtds_config"), TypeURL: xds.RuntimeType, Names: []string{name},
			OnUpdate: func(rs []xds.Resource, _ string) error {
				if err := s.setRuntime(i, name, rs); err != nil {
					return err
				}
				served()
				return nil
			},
			OnFailure: func(why xds.Failure, err error) {
				s.log.get("runtime").Warn("RTDS has nothing new", "layer", name, "reason", why.String(), "error", err)
				served()
			},
			OnRemoved: func(string) { s.runtime.SetLayer(i, nil) },
			Stats:     s.xdsStats("runtime."),
		})
		if err != nil {
			return err
		}
	}
	done()
	return nil
}

func (s *server) setRuntime(layer int, name string, rs []xds.Resource) error {
	for _, r := range rs {
		if r.Name != name {
			return fmt.Errorf("unexpected RTDS runtime (expecting %s): %s", name, r.Name)
		}
		values, err := runtime.Values(field.Path("runtime["+name+"].layer"), r.Message.(*discoveryv3.Runtime).GetLayer())
		if err != nil {
			return err
		}
		s.runtime.SetLayer(layer, values)
	}
	return nil
}

func (s *server) dumpRuntime() admin.Runtime {
	layers, values := s.runtime.Dump()
	out := admin.Runtime{Layers: layers, Entries: map[string]admin.RuntimeEntry{}}
	for k, v := range values {
		e := admin.RuntimeEntry{LayerValues: v}
		for _, x := range v {
			if x != "" {
				e.FinalValue = x
			}
		}
		out.Entries[k] = e
	}
	return out
}
