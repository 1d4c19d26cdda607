package streaminfo

import "testing"

// TestMetadataAllocatesNothing: a stream that is used again has the memory of
// the one before, but nothing of what was in it.
func TestMetadataAllocatesNothing(t *testing.T) {
	var i Info
	var policy any = "p"
	use := func() {
		i.SetMetadata("a", "policy", policy)
		i.SetMetadata("a", "result", "allowed")
		i.SetMetadata("b", "hint", true)
		i.Reset()
	}
	use()
	if n := testing.AllocsPerRun(100, use); n != 0 {
		t.Errorf("%v allocations a stream", n)
	}
	if i.SetMetadata("b", "x", true); len(i.Metadata) != 1 || len(i.Metadata["b"]) != 1 {
		t.Errorf("the next stream has %v", i.Metadata)
	}
}

// TestMetadataKeptIsBounded: a stream with much metadata leaves little behind.
func TestMetadataKeptIsBounded(t *testing.T) {
	var i Info
	for n := range 100 {
		i.SetMetadata(string(rune('a'+n)), "x", true)
		i.SetMetadata("large", string(rune('a'+n)), true)
	}
	i.Reset()
	if len(i.spare) != maxSpare {
		t.Errorf("%d namespaces are kept", len(i.spare))
	}
}
