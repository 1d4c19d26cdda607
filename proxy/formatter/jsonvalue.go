package formatter

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// escapeFrom escapes what follows start in dst for a JSON string, in place.
// In a string that is not UTF-8 each byte above 127 becomes \u00XX, so that
// none is lost.
func escapeFrom(dst []byte, start int) []byte {
	special := false
	for _, b := range dst[start:] {
		special = special || escapes[b] != 1
	}
	if !special {
		return dst
	}
	raw := utf8.Valid(dst[start:])
	grow := 0
	for _, b := range dst[start:] {
		grow += escapedSize(b, raw) - 1
	}
	from := len(dst)
	dst = slices.Grow(dst, grow)[:len(dst)+grow]
	for to := len(dst); to > from; {
		from--
		b := dst[from]
		n := escapedSize(b, raw)
		to -= n
		putEscaped(dst[to:to+n], b)
	}
	return dst
}

func escapedSize(b byte, raw bool) int {
	if raw && b >= utf8.RuneSelf {
		return 1
	}
	return int(escapes[b])
}

// putEscaped fills dst, which has b's escaped size.
func putEscaped(dst []byte, b byte) {
	switch len(dst) {
	case 1:
		dst[0] = b
	case 2:
		dst[0], dst[1] = '\\', b
		if i := strings.IndexByte("\b\f\n\r\t", b); i >= 0 {
			dst[1] = "bfnrt"[i]
		}
	default:
		const hex = "0123456789abcdef"
		copy(dst, `\u00`)
		dst[4], dst[5] = hex[b>>4], hex[b&15]
	}
}

func appendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := len(dst)
	return append(escapeFrom(append(dst, s...), start), '"')
}

func appendJSONValue(dst []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return appendQuoted(dst, v)
	case bool:
		return strconv.AppendBool(dst, v)
	case float64:
		return appendNumber(dst, v)
	case int64:
		return strconv.AppendInt(dst, v, 10)
	case int:
		return strconv.AppendInt(dst, int64(v), 10)
	case uint64:
		return strconv.AppendUint(dst, v, 10)
	case map[string]any:
		return appendJSONObject(dst, v)
	case []any:
		dst = append(dst, '[')
		for i, item := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendJSONValue(dst, item)
		}
		return append(dst, ']')
	case nil:
		return append(dst, "null"...)
	}
	return appendQuoted(dst, fmt.Sprint(v))
}

func appendJSONObject(dst []byte, m map[string]any) []byte {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	dst = append(dst, '{')
	for i, name := range names {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendQuoted(dst, name), ':')
		dst = appendJSONValue(dst, m[name])
	}
	return append(dst, '}')
}

// appendNumber prints as few digits as tell f from its neighbours, with an
// exponent where that is very large or small.
func appendNumber(dst []byte, f float64) []byte {
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return append(dst, "null"...)
	case f == 0 || math.Abs(f) >= 1e-4 && math.Abs(f) < 1e16:
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	}
	return strconv.AppendFloat(dst, f, 'e', -1, 64)
}
