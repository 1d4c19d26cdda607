package runtime

import (
	"os"
	"path/filepath"
	"strconv"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/xds/decode"
)

// New makes the Loader of a layered_runtime at p. Disk layers are read by
// [Loader.WatchDisk], RTDS layers are empty until they are set.
func New(p field.Path, m *bootstrapv3.LayeredRuntime, o Options) (*Loader, error) {
	l := &Loader{o: o, admin: -1}
	seen := map[string]bool{}
	for i, layer := range m.GetLayers() {
		p := p.Dot("layers").Index(i)
		if layer.GetName() == "" {
			return nil, p.Dot("name").Errorf("is required")
		}
		if seen[layer.GetName()] {
			return nil, p.Dot("name").Errorf("duplicate layer name: %s", layer.GetName())
		}
		seen[layer.GetName()] = true
		made, err := l.newLayer(p, layer)
		if err != nil {
			return nil, err
		}
		l.layers = append(l.layers, made)
	}
	if m != nil && len(l.layers) == 0 { // as in Envoy
		l.layers, l.admin = []*layer{{}}, 0
	}
	l.declare()
	l.publish()
	l.countLoad(false)
	return l, nil
}

func (l *Loader) newLayer(p field.Path, m *bootstrapv3.RuntimeLayer) (*layer, error) {
	out := &layer{name: m.GetName()}
	switch s := m.GetLayerSpecifier().(type) {
	case *bootstrapv3.RuntimeLayer_StaticLayer:
		values, err := Values(p.Dot("static_layer"), s.StaticLayer)
		out.values = values
		return out, err
	case *bootstrapv3.RuntimeLayer_DiskLayer_:
		p := p.Dot("disk_layer")
		if err := field.Only(p, s.DiskLayer, "symlink_root", "subdirectory", "append_service_cluster"); err != nil {
			return nil, err
		}
		if s.DiskLayer.GetSymlinkRoot() == "" {
			return nil, p.Dot("symlink_root").Errorf("is required")
		}
		out.absent = true // until it is read
		if _, err := os.Stat(filepath.Dir(s.DiskLayer.GetSymlinkRoot())); err != nil {
			return nil, p.Dot("symlink_root").Wrap(err) // it is watched for
		}
		out.disk = &disk{link: s.DiskLayer.GetSymlinkRoot(), subdirectory: s.DiskLayer.GetSubdirectory()}
		if s.DiskLayer.GetAppendServiceCluster() {
			out.disk.cluster = l.o.ServiceCluster
		}
		return out, nil
	case *bootstrapv3.RuntimeLayer_AdminLayer_:
		if l.admin >= 0 {
			return nil, p.Errorf("too many admin layers, at most one may be specified")
		}
		l.admin = len(l.layers)
		return out, nil
	case *bootstrapv3.RuntimeLayer_RtdsLayer_:
		return out, field.Only(p.Dot("rtds_layer"), s.RtdsLayer, "name", "rtds_config")
	}
	return nil, p.Errorf("needs one of static_layer, disk_layer, admin_layer, rtds_layer")
}

// Values flattens a static or RTDS layer: {a: {b: 1}} is the key a.b.
func Values(p field.Path, s *structpb.Struct) (Layer, error) {
	out := Layer{}
	return out, flatten(p, "", s, out)
}

func flatten(p field.Path, prefix string, s *structpb.Struct, out Layer) error {
	for k, v := range s.GetFields() {
		at := p.Dot(k)
		if prefix != "" {
			k = prefix + "." + k
		}
		switch x := v.GetKind().(type) {
		case *structpb.Value_NumberValue:
			e := entry{raw: strconv.FormatFloat(x.NumberValue, 'g', 6, 64)}
			e.setNumber(x.NumberValue)
			out[k] = e
		case *structpb.Value_BoolValue:
			out[k] = entry{raw: strconv.FormatBool(x.BoolValue), flag: x.BoolValue, is: isFlag}
		case *structpb.Value_StringValue:
			out[k] = parse(x.StringValue)
		case *structpb.Value_StructValue:
			if e, ok := fractionEntry(x.StructValue); ok {
				out[k] = e
			} else if err := flatten(at, k, x.StructValue, out); err != nil {
				return err
			}
		default:
			return at.Errorf("invalid runtime entry value for %s", k)
		}
	}
	return nil
}

// fractionEntry reads {numerator: 1, denominator: MILLION}.
func fractionEntry(s *structpb.Struct) (entry, bool) {
	if s.GetFields()["numerator"] == nil && s.GetFields()["denominator"] == nil {
		return entry{}, false
	}
	text, err := protojson.Marshal(s)
	if err != nil {
		return entry{}, false
	}
	m := &typev3.FractionalPercent{}
	if protojson.Unmarshal(text, m) != nil {
		return entry{}, false
	}
	return entry{raw: string(text), fraction: NewPercent(m), is: isFraction}, true
}

// parsePercent reads a FractionalPercent written as YAML or JSON.
func parsePercent(text string) (Percent, bool) {
	if len(text) == 0 || text[0] != '{' && text[0] != 'n' && text[0] != 'd' {
		return Percent{}, false
	}
	m := &typev3.FractionalPercent{}
	if decode.Unmarshal([]byte(text), decode.YAML, m) != nil {
		return Percent{}, false
	}
	return NewPercent(m), true
}
