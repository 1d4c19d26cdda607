//go:build oracle

package oracle

import (
	"fmt"
	"regexp"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

var (
	skyID   = regexp.MustCompile(`^[0-9a-f-]{32,36}$`)
	skyTime = regexp.MustCompile(`^1[0-9]{12}$`)
)

// skyWalking shows a message of SkyWalking's agent protocol: its fields by
// number, without what differs each time.
func skyWalking(b []byte) string {
	var out []string
	for len(b) > 0 {
		num, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return "?"
		}
		b = b[n:]
		switch kind {
		case protowire.VarintType:
			v, n := protowire.ConsumeVarint(b)
			if n < 0 {
				return "?"
			}
			b = b[n:]
			text := fmt.Sprint(int64(v))
			if skyTime.MatchString(text) {
				text = "<time>"
			}
			out = append(out, fmt.Sprintf("%d=%s", num, text))
		case protowire.BytesType:
			v, n := protowire.ConsumeBytes(b)
			if n < 0 {
				return "?"
			}
			b = b[n:]
			out = append(out, fmt.Sprintf("%d=%s", num, skyField(v)))
		default:
			return "?"
		}
	}
	return "{" + strings.Join(out, " ") + "}"
}

// skyField shows a text or a message.
func skyField(v []byte) string {
	if skyID.Match(v) {
		return "<id>"
	}
	if inner := skyWalking(v); len(v) > 0 && v[0] < ' ' && !strings.HasSuffix(inner, "?") {
		return inner
	}
	return fmt.Sprintf("%q", v)
}

// withoutIDs is a header sw8 whose trace and segment are not told.
func withoutIDs(sw8 string) string {
	parts := strings.Split(sw8, "-")
	if len(parts) == 8 {
		parts[1], parts[2] = "<id>", "<id>"
	}
	return strings.Join(parts, "-")
}
