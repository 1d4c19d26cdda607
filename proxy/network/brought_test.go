package network

import (
	"reflect"
	"testing"
)

func TestSharedState(t *testing.T) {
	var names SharedNames
	for _, s := range []struct {
		name string
		how  Sharing
	}{{"b", ShareOnce}, {"a", ShareTransitively}, {"c", ShareOnce}, {"c", ShareNot}, {"b", ShareTransitively}, {"d", ShareOnce}, {"e", ShareOnce}} {
		names = names.With(s.name, s.how)
	}
	state := map[string]any{"a": "1", "b": "", "c": "3", "d": 4, SharingKey: names}
	want := []SharedObject{{"a", "1", ShareTransitively}, {"b", "", ShareTransitively}}
	if got := DecodeShared(EncodeShared(state)); !reflect.DeepEqual(got, want) {
		t.Errorf("shared are %v, want %v", got, want)
	}
	if s := EncodeShared(map[string]any{"a": "1"}); s != "" {
		t.Errorf("nothing is shared, but %q", s)
	}
}

func TestBring(t *testing.T) {
	host := map[string]map[string]any{"n": {"k": "v"}}
	i := &Info{}
	i.Bring(&Brought{Metadata: host, Objects: []SharedObject{{"a", "1", ShareTransitively}, {"b", "2", ShareOnce}}})
	i.SetMetadata("n", "more", true)
	if len(host["n"]) != 1 {
		t.Error("the host's metadata was changed")
	}
	if i.Metadata["n"]["k"] != "v" || i.FilterState["a"] != "1" || i.FilterState["b"] != "2" {
		t.Errorf("brought were %v and %v", i.Metadata, i.FilterState)
	}
	if got := DecodeShared(EncodeShared(i.FilterState)); !reflect.DeepEqual(got, []SharedObject{{"a", "1", ShareTransitively}}) {
		t.Errorf("handed on again is %v", got)
	}
}
