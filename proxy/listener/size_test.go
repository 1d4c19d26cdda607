package listener

import (
	"testing"
	"unsafe"
)

// TestConnectionSize keeps an idle connection in the allocator's class of 384
// bytes.
func TestConnectionSize(t *testing.T) {
	if n := unsafe.Sizeof(conn{}); n > 384 {
		t.Errorf("a connection takes %d bytes, which are allocated as more than 384", n)
	}
}
