package cel

import (
	"regexp"
	"strconv"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// regexFunction is a function whose first argument is a text and whose second is
// a regular expression. One that is a constant is compiled with the expression;
// when it is not valid the function has no value, as in Envoy, which finds out
// at evaluation.
type regexFunction struct {
	name  string
	whole bool // it must match all of the text
	// value is the function's, of the text, and of the arguments behind the
	// regular expression.
	value func(x *regexp.Regexp, text string, rest []ref.Val) ref.Val
}

// matches is CEL's own, here for the sake of its constants.
var matches = regexFunction{"matches", false, func(x *regexp.Regexp, text string, _ []ref.Val) ref.Val {
	return types.Bool(x.MatchString(text))
}}

// extract is re.extract(text, regex, rewrite): the rewrite with the groups of
// the first match for \0 to \9.
var extract = regexFunction{"re.extract", false, func(x *regexp.Regexp, text string, rest []ref.Val) ref.Val {
	rewrite, ok := rest[0].(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(rest[0])
	}
	groups := x.FindStringSubmatch(text)
	if groups == nil {
		return noMatch()
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
}}

// capture is re.capture(text, regex): the first group.
var capture = regexFunction{"re.capture", true, func(x *regexp.Regexp, text string, _ []ref.Val) ref.Val {
	groups, err := captured(x, text)
	if err != nil {
		return err
	}
	return types.String(groups[1])
}}

// captureAll is re.captureN(text, regex): all groups by name or number.
var captureAll = regexFunction{"re.captureN", true, func(x *regexp.Regexp, text string, _ []ref.Val) ref.Val {
	groups, err := captured(x, text)
	if err != nil {
		return err
	}
	out := map[string]string{}
	for i, name := range x.SubexpNames()[1:] {
		if name == "" {
			name = strconv.Itoa(i + 1)
		}
		out[name] = groups[i+1]
	}
	return types.DefaultTypeAdapter.NativeToValue(out)
}}

// captured is the match in text with its groups, at least one.
func captured(x *regexp.Regexp, text string) (groups []string, err ref.Val) {
	groups = x.FindStringSubmatch(text)
	switch {
	case groups == nil:
		return nil, noMatch()
	case len(groups) < 2:
		return nil, types.NewErr("the regular expression has no group")
	}
	return groups, nil
}

func noMatch() ref.Val { return types.NewErr("the regular expression does not match") }

// declare tells CEL of f: its result, and the arguments after the first two.
func (f regexFunction) declare(result *cel.Type, rest ...*cel.Type) cel.EnvOption {
	arguments := append([]*cel.Type{cel.StringType, cel.StringType}, rest...)
	return cel.Function(f.name, cel.Overload(f.name, arguments, result, cel.FunctionBinding(func(args ...ref.Val) ref.Val {
		pattern, ok := args[1].(types.String)
		if !ok {
			return types.MaybeNoSuchOverloadErr(args[1])
		}
		x, err := f.compile(string(pattern))
		if err != nil {
			return types.WrapErr(err)
		}
		return f.call(x, args)
	})))
}

// constant has an expression keep f's regular expression compiled.
func (f regexFunction) constant() *interpreter.RegexOptimization {
	return &interpreter.RegexOptimization{Function: f.name, RegexIndex: 1, Factory: func(call interpreter.InterpretableCall, pattern string) (interpreter.InterpretableCall, error) {
		x, err := f.compile(pattern)
		if err != nil {
			return call, nil
		}
		return interpreter.NewCall(call.ID(), call.Function(), call.OverloadID(), call.Args(), func(args ...ref.Val) ref.Val { return f.call(x, args) }), nil
	}}
}

func (f regexFunction) compile(pattern string) (*regexp.Regexp, error) {
	if f.whole {
		pattern = `\A(?:` + pattern + `)\z`
	}
	return regexp.Compile(pattern)
}

func (f regexFunction) call(x *regexp.Regexp, args []ref.Val) ref.Val {
	text, ok := args[0].(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(args[0])
	}
	return f.value(x, string(text), args[2:])
}
