package cel

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/env"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
	exprpb "google.golang.org/genproto/googleapis/api/expr/v1alpha1"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

// Input is a stream as expressions see it. Header maps may be nil.
type Input struct {
	Info             *streaminfo.Info
	RequestHeaders   *http.HeaderMap
	ResponseHeaders  *http.HeaderMap
	ResponseTrailers *http.HeaderMap
	Now              time.Duration // by the worker's clock
}

// Program is a compiled expression. It may be evaluated by many goroutines.
type Program struct{ p cel.Program }

// maxCost bounds an evaluation: an expression may loop over headers, and a
// client chooses those.
const maxCost = 100_000

// environment is CEL's own functions, without the macros that loop and string(),
// and those for regular expressions, as in Envoy.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	without := &env.LibrarySubset{DisableMacros: true, ExcludeFunctions: []*env.Function{
		{Name: "string"},
		{Name: "getMilliseconds", Overloads: []*env.Overload{{ID: "duration_to_milliseconds"}}},
	}}
	return cel.NewCustomEnv(append(slices.Clone(functions), cel.StdLib(cel.StdLibSubset(without)), cel.Macros(cel.HasMacro))...)
})

// Compile parses an expression.
func Compile(expression string) (*Program, error) {
	e, err := environment()
	if err != nil {
		return nil, err
	}
	parsed, issues := e.Parse(expression)
	if issues.Err() != nil {
		return nil, fmt.Errorf("not able to parse expression: %w", issues.Err())
	}
	return program(e, parsed)
}

// CompileParsed is Compile of an expression that was parsed elsewhere.
func CompileParsed(expression *exprpb.Expr) (*Program, error) {
	e, err := environment()
	if err != nil {
		return nil, err
	}
	parsed := cel.ParsedExprToAst(&exprpb.ParsedExpr{Expr: expression})
	if hasLoop(parsed) {
		return nil, fmt.Errorf("failed to create an expression: loops are not allowed")
	}
	return program(e, parsed)
}

// hasLoop tells whether the expression has a comprehension: what the macros
// that loop become.
func hasLoop(parsed *cel.Ast) (found bool) {
	ast.PostOrderVisit(parsed.NativeRep().Expr(), ast.NewExprVisitor(func(x ast.Expr) {
		found = found || x.Kind() == ast.ComprehensionKind
	}))
	return found
}

func program(e *cel.Env, parsed *cel.Ast) (*Program, error) {
	if name := unknownFunction(e, parsed); name != "" {
		return nil, fmt.Errorf("failed to create an expression: there is no function %q", name)
	}
	p, err := e.Program(parsed, cel.CostLimit(maxCost),
		cel.OptimizeRegex(matches.constant(), extract.constant(), capture.constant(), captureAll.constant()))
	if err != nil {
		return nil, fmt.Errorf("failed to create an expression: %w", err)
	}
	return &Program{p}, nil
}

// unknownFunction is a function that the expression calls and nobody knows.
func unknownFunction(e *cel.Env, parsed *cel.Ast) (name string) {
	ast.PostOrderVisit(parsed.NativeRep().Expr(), ast.NewExprVisitor(func(x ast.Expr) {
		if x.Kind() != ast.CallKind {
			return
		}
		c := x.AsCall()
		qualified := c.IsMemberFunction() && c.Target().Kind() == ast.IdentKind && e.HasFunction(c.Target().AsIdent()+"."+c.FunctionName())
		if !qualified && !e.HasFunction(c.FunctionName()) {
			name = c.FunctionName()
		}
	}))
	return name
}

// Eval is the expression's value; false when it has none.
func (p *Program) Eval(in Input) (ref.Val, bool) {
	v, _, err := p.p.Eval(activation{&in})
	if err != nil || v == nil || types.IsUnknownOrError(v) {
		return nil, false
	}
	return v, true
}

// Match is whether the expression is true.
func (p *Program) Match(in Input) bool {
	v, ok := p.Eval(in)
	return ok && v == types.True
}

// activation resolves the expression's names.
type activation struct{ in *Input }

// ResolveName implements interpreter.Activation.
func (a activation) ResolveName(name string) (any, bool) {
	if find := roots[name]; find != nil {
		return object{find: func(key string) (any, bool) { return find(a.in, key) }}, true
	}
	return nil, false
}

// Parent implements interpreter.Activation.
func (a activation) Parent() interpreter.Activation { return nil }
