package bpf

import (
	"reflect"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// objects are both committed ones: each must have the layout of the Go types
// that this machine compiles.
var objects = []string{"weir_bpfel.o", "weir_bpfeb.o"}

// shared are the structs that both Go and C use.
var shared = map[string]any{
	"pod": WeirPod{}, "settings": WeirSettings{}, "listener_key": WeirListenerKey{}, "pod_addr": WeirPodAddr{},
	"pod_port": WeirPodPort{}, "pod_cidr": WeirPodCidr{}, "pod_uid": WeirPodUid{}, "lb_addr": WeirLbAddr{}, "lb_service": WeirLbService{}, "lb_endpoint": WeirLbEndpoint{}, "orig": WeirOrig{}, "conn": WeirConn{}, "connecting": WeirConnecting{}, "flow": WeirFlow{},
	"dns_pod": WeirDnsPod{}, "dns_servers": WeirDnsServers{},
}

func TestLayoutsOfCAndGo(t *testing.T) {
	for name, value := range shared {
		for _, object := range objects {
			spec := load(t, object)
			var c *btf.Struct
			if err := spec.Types.TypeByName(name, &c); err != nil {
				t.Errorf("%s: struct %s: %v", object, name, err)
				continue
			}
			compare(t, object, c, reflect.TypeOf(value))
		}
	}
}

func compare(t *testing.T, object string, c *btf.Struct, g reflect.Type) {
	t.Helper()
	if uintptr(c.Size) != g.Size() {
		t.Errorf("%s: struct %s has %d bytes, %s %d", object, c.Name, c.Size, g.Name(), g.Size())
	}
	for _, m := range c.Members {
		field, ok := g.FieldByNameFunc(func(s string) bool { return strings.EqualFold(s, strings.ReplaceAll(m.Name, "_", "")) })
		if !ok {
			t.Errorf("%s: %s.%s is not in %s", object, c.Name, m.Name, g.Name())
			continue
		}
		size, err := btf.Sizeof(m.Type)
		if err != nil {
			t.Fatal(err)
		}
		if uintptr(m.Offset.Bytes()) != field.Offset || uintptr(size) != field.Type.Size() {
			t.Errorf("%s: %s.%s is at %d+%d, in Go at %d+%d", object, c.Name, m.Name, m.Offset.Bytes(), size, field.Offset, field.Type.Size())
		}
	}
}

// Every struct that a map has is compared, and none that is a key has holes:
// what lies in them would be part of the key.
func TestMapsHaveNoOtherStructs(t *testing.T) {
	for _, object := range objects {
		for name, m := range load(t, object).Maps {
			for _, side := range []btf.Type{m.Key, m.Value} {
				c, ok := btf.UnderlyingType(side).(*btf.Struct)
				if side == nil || !ok {
					continue
				}
				if shared[c.Name] == nil && !programsOnly[c.Name] {
					t.Errorf("%s: %s has struct %s, which is not compared with Go's", object, name, c.Name)
				}
				if side == m.Key {
					wantNoHoles(t, object, c)
				}
			}
		}
	}
}

// programsOnly are structs of maps that Go never reads or writes.
var programsOnly = map[string]bool{"dns_lock": true}

func wantNoHoles(t *testing.T, object string, c *btf.Struct) {
	t.Helper()
	end := uint32(0)
	for _, m := range c.Members {
		size, err := btf.Sizeof(m.Type)
		if err != nil {
			t.Fatal(err)
		}
		if m.Offset.Bytes() != end {
			t.Errorf("%s: a hole before %s.%s", object, c.Name, m.Name)
		}
		end = m.Offset.Bytes() + uint32(size)
	}
	if end != c.Size {
		t.Errorf("%s: a hole at the end of %s", object, c.Name)
	}
}

func TestMapsHoldTheTypes(t *testing.T) {
	for _, object := range objects {
		spec := load(t, object)
		for name, want := range map[string][2]any{
			WeirMapWeirPods:       {uint64(0), WeirPod{}},
			WeirMapWeirSettings:   {uint32(0), WeirSettings{}},
			WeirMapWeirHeartbeat:  {uint32(0), uint64(0)},
			WeirMapWeirListeners:  {WeirListenerKey{}, uint64(0)},
			WeirMapWeirPodAddrs:   {WeirPodAddr{}, uint8(0)},
			WeirMapWeirInExclude:  {WeirPodPort{}, uint8(0)},
			WeirMapWeirOutCidrs:   {WeirPodCidr{}, uint8(0)},
			WeirMapWeirOutPorts:   {WeirPodPort{}, uint8(0)},
			WeirMapWeirOutUids:    {WeirPodUid{}, uint8(0)},
			WeirMapWeirSkBypass:   {int32(0), uint32(0)},
			WeirMapWeirSkOrig:     {int32(0), WeirOrig{}},
			WeirMapWeirConnecting: {uint64(0), WeirConnecting{}},
			WeirMapWeirConnOrig:   {WeirConn{}, WeirOrig{}},
			WeirMapWeirCounters:   {uint32(0), uint64(0)},
			WeirMapWeirDnsPods:    {uint64(0), WeirDnsPod{}},
			WeirMapWeirDnsServers: {uint32(0), WeirDnsServers{}},
		} {
			m := spec.Maps[name]
			if m == nil {
				t.Errorf("%s has no map %s", object, name)
				continue
			}
			key, value := reflect.TypeOf(want[0]).Size(), reflect.TypeOf(want[1]).Size()
			if uintptr(m.KeySize) != key || uintptr(m.ValueSize) != value {
				t.Errorf("%s: %s is %d → %d bytes, want %d → %d", object, name, m.KeySize, m.ValueSize, key, value)
			}
			if m.Pinning != ebpf.PinByName {
				t.Errorf("%s: %s is not pinned", object, name)
			}
		}
	}
}

func load(t *testing.T, object string) *ebpf.CollectionSpec {
	t.Helper()
	spec, err := ebpf.LoadCollectionSpec(object)
	if err != nil {
		t.Fatal(err)
	}
	return spec
}
