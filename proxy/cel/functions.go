package cel

import (
	"regexp"
	"strconv"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// functions are those that Envoy has besides CEL's own or has otherwise: the
// milliseconds of a duration without its seconds; re.extract(target, regex,
// rewrite), where the rewrite has the groups as \0 to \9, re.capture(target,
// regex), the first group, and re.captureN(target, regex), all groups by name or
// number.
var functions = []cel.EnvOption{
	cel.Function("re.extract", cel.Overload("re_extract_string_string_string",
		[]*cel.Type{cel.StringType, cel.StringType, cel.StringType}, cel.StringType, cel.FunctionBinding(extract))),
	cel.Function("re.capture", cel.Overload("re_capture_string_string",
		[]*cel.Type{cel.StringType, cel.StringType}, cel.StringType, cel.BinaryBinding(capture))),
	cel.Function("re.captureN", cel.Overload("re_captureN_string_string",
		[]*cel.Type{cel.StringType, cel.StringType}, cel.MapType(cel.StringType, cel.StringType), cel.BinaryBinding(captureAll))),
	cel.Function("getMilliseconds", cel.MemberOverload("duration_to_milliseconds_left",
		[]*cel.Type{cel.DurationType}, cel.IntType, cel.UnaryBinding(func(d ref.Val) ref.Val {
			return types.Int(d.(types.Duration).Milliseconds() % 1000)
		}))),
}

// find is regex's first match in target, with its groups; whole: the match is to
// be all of target.
func find(target, regex ref.Val, whole bool) (*regexp.Regexp, []string, ref.Val) {
	t, ok := target.(types.String)
	r, isString := regex.(types.String)
	if !ok || !isString {
		return nil, nil, types.MaybeNoSuchOverloadErr(target)
	}
	pattern := string(r)
	if whole {
		pattern = `\A(?:` + pattern + `)\z`
	}
	x, err := regexp.Compile(pattern)
	if err != nil {
		return nil, nil, types.WrapErr(err)
	}
	groups := x.FindStringSubmatch(string(t))
	if groups == nil {
		return nil, nil, types.NewErr("the regular expression does not match")
	}
	return x, groups, nil
}

func extract(args ...ref.Val) ref.Val {
	rewrite, ok := args[2].(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(args[2])
	}
	_, groups, err := find(args[0], args[1], false)
	if err != nil {
		return err
	}
	var out []byte
	for i := 0; i < len(rewrite); i++ {
		if rewrite[i] != '\\' {
			out = append(out, rewrite[i])
			continue
		}
		i++
		switch {
		case i < len(rewrite) && rewrite[i] == '\\':
			out = append(out, '\\')
		case i < len(rewrite) && '0' <= rewrite[i] && int(rewrite[i]-'0') < len(groups):
			out = append(out, groups[rewrite[i]-'0']...)
		default:
			return types.NewErr("the rewrite is not valid")
		}
	}
	return types.String(out)
}

func capture(target, regex ref.Val) ref.Val {
	_, groups, err := find(target, regex, true)
	switch {
	case err != nil:
		return err
	case len(groups) < 2:
		return types.NewErr("the regular expression has no group")
	}
	return types.String(groups[1])
}

func captureAll(target, regex ref.Val) ref.Val {
	x, groups, err := find(target, regex, true)
	switch {
	case err != nil:
		return err
	case len(groups) < 2:
		return types.NewErr("the regular expression has no group")
	}
	out := map[string]string{}
	for i, name := range x.SubexpNames()[1:] {
		if name == "" {
			name = strconv.Itoa(i + 1)
		}
		out[name] = groups[i+1]
	}
	return types.DefaultTypeAdapter.NativeToValue(out)
}
