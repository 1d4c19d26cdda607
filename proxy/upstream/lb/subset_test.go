package lb

import (
	"fmt"
	"slices"
	"testing"

	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// want is a request for a subset.
type want struct {
	NoContext
	criteria []MetadataCriterion
}

func (w want) MetadataMatch() []MetadataCriterion { return w.criteria }

func wants(m map[string]any) want { return want{criteria: MergeCriteria(nil, m)} }

// labelled are hosts 10.0.0.1, 10.0.0.2, … with these labels.
func labelled(labels ...map[string]any) *cluster.PrioritySet {
	hs := hosts(slices.Repeat([]uint32{1}, len(labels))...)
	for i, l := range labels {
		hs[i].SetMetadata(cluster.Metadata{"envoy.lb": l})
	}
	return prioritySet(140, nil, hs...)
}

type m = map[string]any

func TestSubsets(t *testing.T) {
	set := labelled(m{"v": "1", "s": "a"}, m{"v": "2", "s": "a"}, m{"v": "2", "s": "b"}, m{"v": []any{"1", "3"}})
	for _, tt := range []struct {
		name string
		cfg  Subset
		want m
		got  string // the hosts' last numbers; "" for none
	}{
		{"one key", Subset{Selectors: []Selector{{Keys: []string{"v"}}}, Fallback: FallbackNone}, m{"v": "2"}, "2 3"},
		{"two keys", Subset{Selectors: []Selector{{Keys: []string{"s", "v"}}}, Fallback: FallbackNone}, m{"v": "2", "s": "b"}, "3"},
		{"a list is one value", Subset{Selectors: []Selector{{Keys: []string{"v"}}}, Fallback: FallbackNone}, m{"v": "3"}, ""},
		{"a list as any of them", Subset{Selectors: []Selector{{Keys: []string{"v"}}}, Fallback: FallbackNone, ListAsAny: true}, m{"v": "1"}, "1 4"},
		{"no subset, any", Subset{Selectors: []Selector{{Keys: []string{"v"}}}, Fallback: FallbackAny}, m{"v": "9"}, "1 2 3 4"},
		{"no subset, default", Subset{Selectors: []Selector{{Keys: []string{"v"}}}, Fallback: FallbackDefault, Default: []MetadataCriterion{{"s", "b"}}}, m{"v": "9"}, "3"},
		{"an empty default, panic", Subset{Selectors: []Selector{{Keys: []string{"v"}}}, Fallback: FallbackDefault, Default: []MetadataCriterion{{"s", "x"}}, PanicAny: true}, m{"v": "9"}, "1 2 3 4"},
		{"the selector's fallback", Subset{Selectors: []Selector{{Keys: []string{"v"}, Fallback: FallbackNone}}, Fallback: FallbackAny}, m{"v": "9"}, ""},
		{"fewer keys", Subset{Selectors: []Selector{{Keys: []string{"v"}}, {Keys: []string{"s", "v"}, Fallback: FallbackKeys, FallbackKeys: []string{"v"}}}, Fallback: FallbackNone}, m{"v": "2", "s": "x"}, "2 3"},
		{"a single host", Subset{Selectors: []Selector{{Keys: []string{"v"}, SingleHost: true}}, Fallback: FallbackNone}, m{"v": "2"}, "2"},
		{"redundant keys", Subset{Selectors: []Selector{{Keys: []string{"v"}}}, Fallback: FallbackNone, AllowRedundant: true}, m{"v": "2", "x": "y"}, "2 3"},
		{"alternatives", Subset{Selectors: []Selector{{Keys: []string{"v"}}}, Fallback: FallbackNone, FallbackList: true}, m{"fallback_list": []any{m{"v": "9"}, m{"v": "1"}}}, "1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.cfg.Inner = RoundRobin{}
			b := balancer(&tt.cfg, &cluster.Stats{}, set)
			ctx := wants(tt.want)
			seen := map[string]bool{}
			for range 20 {
				if h := b.Choose(ctx); h != nil {
					seen[fmt.Sprint(h.Address.Addr().As4()[3])] = true
				}
			}
			var got string
			for i := range 4 {
				if n := fmt.Sprint(i + 1); seen[n] {
					if got != "" {
						got += " "
					}
					got += n
				}
			}
			if got != tt.got {
				t.Errorf("picked %q, want %q", got, tt.got)
			}
		})
	}
}

func TestSubsetsDoNotAllocate(t *testing.T) {
	cfg := &Subset{Inner: RoundRobin{}, Fallback: FallbackAny, AllowRedundant: true, Selectors: []Selector{{Keys: []string{"v"}}}}
	b := balancer(cfg, &cluster.Stats{}, labelled(m{"v": "1"}, m{"v": "2"}))
	for _, w := range []m{{"v": "1"}, {"v": "1", "x": "y"}, {"v": "9"}, nil} {
		var ctx Context = wants(w)
		b.Choose(ctx)
		if n := testing.AllocsPerRun(100, func() { b.Choose(ctx) }); n != 0 {
			t.Errorf("%v: %v allocations", w, n)
		}
	}
}

func TestScaledLocalityWeights(t *testing.T) {
	for _, tt := range []struct{ weight, part, of, want uint32 }{{4, 1, 2, 2}, {3, 1, 2, 2}, {5, 0, 3, 0}, {1, 1, 3, 0}} {
		if got := scaled(tt.weight, int(tt.part), int(tt.of)); got != tt.want {
			t.Errorf("%+v: %d", tt, got)
		}
	}
}
