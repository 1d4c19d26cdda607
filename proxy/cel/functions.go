package cel

import (
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// functions are those that Envoy has besides CEL's own or has otherwise: the
// milliseconds of a duration without its seconds, and those of regular
// expressions (regex.go).
var functions = []cel.EnvOption{
	extract.declare(cel.StringType, cel.StringType),
	capture.declare(cel.StringType),
	captureAll.declare(cel.MapType(cel.StringType, cel.StringType)),
	cel.Function("getMilliseconds", cel.MemberOverload("duration_to_milliseconds_left",
		[]*cel.Type{cel.DurationType}, cel.IntType, cel.UnaryBinding(func(d ref.Val) ref.Val {
			return types.Int(d.(types.Duration).Milliseconds() % 1000)
		}))),
}
