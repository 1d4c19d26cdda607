package upstream

import (
	"reflect"

	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// sameMetadata compares what google.protobuf.Struct can hold.
func sameMetadata(a, b cluster.Metadata) bool {
	return len(a) == 0 && len(b) == 0 || reflect.DeepEqual(a, b)
}
