package formatter

import (
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/weirproxy/weir/proxy/cel"
)

// celOperator is CEL(expression) and TYPED_CEL(expression); the latter keeps
// numbers and truth values in JSON.
func celOperator(typed bool) func(string) (operator, error) {
	return func(expression string) (operator, error) {
		p, err := cel.Compile(expression)
		if err != nil {
			return nil, err
		}
		return func(dst []byte, c *Context) ([]byte, kind) {
			v, ok := p.Eval(celInput(c))
			if !ok {
				return dst, none
			}
			dst, k := appendCEL(dst, v)
			if k == literal && !typed {
				k = text
			}
			return dst, k
		}, nil
	}
}

func celInput(c *Context) cel.Input {
	return cel.Input{Info: c.Info, RequestHeaders: c.RequestHeaders, ResponseHeaders: c.ResponseHeaders, ResponseTrailers: c.ResponseTrailers, Now: c.Now}
}

// appendCEL appends a value in the form that Envoy gives it.
func appendCEL(dst []byte, v ref.Val) ([]byte, kind) {
	switch v := v.(type) {
	case types.String:
		return append(dst, v...), text
	case types.Bytes:
		return append(dst, v...), text
	case types.Bool:
		return strconv.AppendBool(dst, bool(v)), literal
	case types.Int:
		return strconv.AppendInt(dst, int64(v), 10), literal
	case types.Uint:
		return strconv.AppendUint(dst, uint64(v), 10), literal
	case types.Double:
		return strconv.AppendFloat(dst, float64(v), 'g', 6, 64), literal
	case types.Duration:
		return appendCELDuration(dst, v.Duration), text
	case types.Timestamp:
		return v.Time.UTC().Truncate(time.Microsecond).AppendFormat(dst, "2006-01-02T15:04:05.999999-07:00"), text
	case *types.Type:
		return append(dst, "CelType value"...), text
	case types.Null:
		return append(dst, "NULL"...), text
	case traits.Lister:
		return append(dst, "CelList value"...), text
	case traits.Mapper:
		return append(dst, "CelMap value"...), text
	}
	return dst, none
}

// appendCELDuration leaves out units of which there are none: "1h5s".
func appendCELDuration(dst []byte, d time.Duration) []byte {
	if d == 0 {
		return append(dst, '0')
	}
	if d < 0 {
		dst, d = append(dst, '-'), d.Abs()
	}
	if d < time.Minute {
		return append(dst, strings.Replace(d.String(), "µ", "u", 1)...)
	}
	if h := int64(d / time.Hour); h > 0 {
		dst = append(strconv.AppendInt(dst, h, 10), 'h')
	}
	if m := int64(d % time.Hour / time.Minute); m > 0 {
		dst = append(strconv.AppendInt(dst, m, 10), 'm')
	}
	if s := d % time.Minute; s > 0 {
		dst = append(strconv.AppendFloat(dst, s.Seconds(), 'f', -1, 64), 's')
	}
	return dst
}

// CELFilter compiles an expression that tells whether a stream is meant.
func CELFilter(expression string) (func(*Context) bool, error) {
	p, err := cel.Compile(expression)
	if err != nil {
		return nil, err
	}
	return func(c *Context) bool { return p.Match(celInput(c)) }, nil
}
