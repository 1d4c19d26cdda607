package lua

import "github.com/yuin/gopher-lua/ast"

// rewrite rewrites what gopher-lua can't yield from.
//
// A call in a return statement is a tail call, and a handle's method that
// yields from one is lost: return f(x) becomes return select(1, f(x)). Numbers
// that are joined to strings are written first: a .. b becomes a .. number(b).
//
// Generic for loops become while loops. gopher-lua calls a for
// loop's iterator from within the instruction, where it can't yield; the
// iterator of handle:bodyChunks() has to. In a while loop it is a call like
// any other:
//
//	do local f, s, c = explist
//	  while true do
//	    local a, b = f(s, c)
//	    if a == nil then break end
//	    c = a
//	    body
//	  end
//	end
func rewrite(stmts []ast.Stmt) []ast.Stmt {
	for i, s := range stmts {
		stmts[i] = rewriteStmt(s)
	}
	return stmts
}

func rewriteStmt(s ast.Stmt) ast.Stmt {
	switch x := s.(type) {
	case *ast.AssignStmt:
		rewriteExprs(x.Lhs)
		rewriteExprs(x.Rhs)
	case *ast.LocalAssignStmt:
		rewriteExprs(x.Exprs)
	case *ast.FuncCallStmt:
		rewriteExpr(x.Expr)
	case *ast.DoBlockStmt:
		rewrite(x.Stmts)
	case *ast.WhileStmt:
		rewriteExpr(x.Condition)
		rewrite(x.Stmts)
	case *ast.RepeatStmt:
		rewriteExpr(x.Condition)
		rewrite(x.Stmts)
	case *ast.IfStmt:
		rewriteExpr(x.Condition)
		rewrite(x.Then)
		rewrite(x.Else)
	case *ast.NumberForStmt:
		rewriteExprs([]ast.Expr{x.Init, x.Limit, x.Step})
		rewrite(x.Stmts)
	case *ast.FuncDefStmt:
		rewriteExpr(x.Func)
	case *ast.ReturnStmt:
		rewriteExprs(x.Exprs)
		if len(x.Exprs) == 1 {
			if call, ok := x.Exprs[0].(*ast.FuncCallExpr); ok {
				if name, ok := call.Func.(*ast.IdentExpr); ok && name.Value == "assert" {
					name.Value = tailAssert
				}
				one := at(&ast.NumberExpr{Value: "1"}, x.Line())
				x.Exprs[0] = at(&ast.FuncCallExpr{Func: at(&ast.IdentExpr{Value: returnFunc}, x.Line()), Args: []ast.Expr{one, call}}, x.Line())
			}
		}
	case *ast.GenericForStmt:
		return while(x)
	}
	return s
}

func rewriteExprs(list []ast.Expr) {
	for _, e := range list {
		rewriteExpr(e)
	}
}

func rewriteExpr(e ast.Expr) {
	switch x := e.(type) {
	case *ast.FunctionExpr:
		rewrite(x.Stmts)
	case *ast.AttrGetExpr:
		rewriteExprs([]ast.Expr{x.Object, x.Key})
	case *ast.TableExpr:
		for _, f := range x.Fields {
			rewriteExprs([]ast.Expr{f.Key, f.Value})
		}
	case *ast.FuncCallExpr:
		rewriteExprs([]ast.Expr{x.Func, x.Receiver})
		rewriteExprs(x.Args)
	case *ast.LogicalOpExpr:
		rewriteExprs([]ast.Expr{x.Lhs, x.Rhs})
	case *ast.RelationalOpExpr:
		rewriteExprs([]ast.Expr{x.Lhs, x.Rhs})
	case *ast.StringConcatOpExpr:
		rewriteExprs([]ast.Expr{x.Lhs, x.Rhs})
		x.Lhs, x.Rhs = written(x.Lhs), written(x.Rhs)
	case *ast.ArithmeticOpExpr:
		rewriteExprs([]ast.Expr{x.Lhs, x.Rhs})
	case *ast.UnaryMinusOpExpr:
		rewriteExpr(x.Expr)
	case *ast.UnaryNotOpExpr:
		rewriteExpr(x.Expr)
	case *ast.UnaryLenOpExpr:
		rewriteExpr(x.Expr)
	}
}

// written is an operand of "..", a number as LuaJIT writes it: gopher-lua
// writes more digits.
func written(e ast.Expr) ast.Expr {
	switch e.(type) {
	case *ast.StringExpr, *ast.StringConcatOpExpr:
		return e
	}
	return at(&ast.FuncCallExpr{Func: at(&ast.IdentExpr{Value: numberFunc}, e.Line()), Args: []ast.Expr{e}}, e.Line())
}

// These variables have names that no script can write; returnFunc is select,
// numberFunc writes a number, tailAssert doesn't tell where it was called, which
// LuaJIT doesn't know of a tail call.
const numberFunc, returnFunc, tailAssert = "(number)", "(return)", "(assert)"
const forFunc, forState, forControl = "(for f)", "(for s)", "(for c)"

func while(x *ast.GenericForStmt) ast.Stmt {
	rewriteExprs(x.Exprs)
	name := func(n string) ast.Expr { return at(&ast.IdentExpr{Value: n}, x.Line()) }
	call := at(&ast.FuncCallExpr{Func: name(forFunc), Args: []ast.Expr{name(forState), name(forControl)}}, x.Line())
	isNil := at(&ast.RelationalOpExpr{Operator: "==", Lhs: name(x.Names[0]), Rhs: at(&ast.NilExpr{}, x.Line())}, x.Line())
	body := []ast.Stmt{
		at(&ast.LocalAssignStmt{Names: x.Names, Exprs: []ast.Expr{call}}, x.Line()),
		at(&ast.IfStmt{Condition: isNil, Then: []ast.Stmt{at(&ast.BreakStmt{}, x.Line())}}, x.Line()),
		at(&ast.AssignStmt{Lhs: []ast.Expr{name(forControl)}, Rhs: []ast.Expr{name(x.Names[0])}}, x.Line()),
		// A block of its own: the body may end with return or break.
		at(&ast.DoBlockStmt{Stmts: rewrite(x.Stmts)}, x.Line()),
	}
	return at(&ast.DoBlockStmt{Stmts: []ast.Stmt{
		at(&ast.LocalAssignStmt{Names: []string{forFunc, forState, forControl}, Exprs: x.Exprs}, x.Line()),
		at(&ast.WhileStmt{Condition: at(&ast.TrueExpr{}, x.Line()), Stmts: body}, x.Line()),
	}}, x.Line())
}

func at[N interface {
	SetLine(int)
	SetLastLine(int)
}](n N, line int) N {
	n.SetLine(line)
	n.SetLastLine(line)
	return n
}
