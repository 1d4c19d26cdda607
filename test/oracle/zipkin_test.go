//go:build oracle

package oracle

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// zipkinProtos shows the spans of a ListOfSpans of zipkin.proto, without what
// differs each time: of ids only the lengths.
func zipkinProtos(b []byte) (spans []string) {
	eachField(b, func(_ protowire.Number, v []byte, _ uint64) {
		var fields, tags []string
		eachField(v, func(num protowire.Number, v []byte, n uint64) {
			switch num {
			case 1, 2, 3: // trace_id, parent_id, id
				fields = append(fields, fmt.Sprintf("%d=%d bytes", num, len(v)))
			case 6, 7, 8: // timestamp, duration, local_endpoint
				fields = append(fields, fmt.Sprintf("%d", num))
			case 10, 11: // annotations, tags: pairs
				var pair [3]string
				eachField(v, func(num protowire.Number, v []byte, _ uint64) { pair[num] = string(v) })
				if slices.Contains(unsteady, pair[1]) {
					pair[2] = "…"
				}
				tags = append(tags, fmt.Sprintf("%d:%s=%s", num, pair[1], pair[2]))
			default:
				fields = append(fields, fmt.Sprintf("%d=%s%d", num, v, n))
			}
		})
		slices.Sort(fields)
		slices.Sort(tags)
		spans = append(spans, strings.Join(append(fields, tags...), " "))
	})
	return spans
}

// eachField reads a message's fields: v is a text or message, n a number.
func eachField(b []byte, f func(num protowire.Number, v []byte, n uint64)) {
	for len(b) > 0 {
		num, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return
		}
		b = b[n:]
		size := protowire.ConsumeFieldValue(num, kind, b)
		if size < 0 {
			return
		}
		switch kind {
		case protowire.BytesType:
			v, _ := protowire.ConsumeBytes(b)
			f(num, v, 0)
		case protowire.VarintType:
			v, _ := protowire.ConsumeVarint(b)
			f(num, nil, v)
		default:
			f(num, nil, 0)
		}
		b = b[size:]
	}
}
