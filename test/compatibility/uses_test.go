package compatibility

import (
	"go/ast"
	"go/constant"
	"go/types"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	_ "github.com/weirproxy/weir/proxy/server" // links every message
)

// uses is what weir's code does with the messages of configurations. Fields
// are MESSAGE.FIELD, all names protobuf's.
type uses struct {
	messages map[string]protoreflect.MessageDescriptor // by the type's name in Go
	members  map[string]string                         // fields, by the name in Go of what wraps a oneof's member

	read  map[string]bool       // fields that a getter, or a type switch over a oneof, asks for
	taken map[string]bool       // fields named to field.Only
	only  map[string]bool       // messages given to field.Only
	met   map[string]types.Type // messages that any expression has
	asked map[*types.Interface]map[string]bool
}

// usesOf looks at the code of proxy and xds.
func usesOf(t *testing.T) *uses {
	t.Helper()
	loaded, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo | packages.NeedImports,
		Dir:  root,
	}, "./proxy/...", "./xds/...")
	if err != nil {
		t.Fatal(err)
	}
	u := &uses{
		messages: map[string]protoreflect.MessageDescriptor{}, members: map[string]string{}, read: map[string]bool{}, taken: map[string]bool{},
		only: map[string]bool{}, met: map[string]types.Type{}, asked: map[*types.Interface]map[string]bool{},
	}
	protoregistry.GlobalTypes.RangeMessages(func(mt protoreflect.MessageType) bool { u.know(mt); return true })
	for _, p := range loaded {
		for _, e := range p.Errors {
			t.Fatal(e)
		}
		for _, file := range p.Syntax {
			ast.Inspect(file, func(n ast.Node) bool { u.look(p, n); return true })
		}
	}
	u.resolve()
	return u
}

// plain is a name in Go or protobuf without what tells them apart.
func plain(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }

func (u *uses) know(mt protoreflect.MessageType) {
	t, fields := reflect.TypeOf(mt.Zero().Interface()).Elem(), mt.Descriptor().Fields()
	u.messages[t.PkgPath()+"."+t.Name()] = mt.Descriptor()
	for i := range fields.Len() {
		if f := fields.Get(i); f.ContainingOneof() != nil {
			u.members[t.PkgPath()+"."+plain(t.Name()+string(f.Name()))] = string(f.FullName())
		}
	}
}

// look notes what one node does.
func (u *uses) look(p *packages.Package, n ast.Node) {
	switch n := n.(type) {
	case *ast.SelectorExpr:
		u.selected(p.TypesInfo.TypeOf(n.X), n.Sel.Name)
	case *ast.TypeAssertExpr:
		u.switched(p.TypesInfo.TypeOf(n.Type))
	case *ast.CaseClause:
		for _, e := range n.List {
			u.switched(p.TypesInfo.TypeOf(e))
		}
	case *ast.CallExpr:
		u.called(p, n)
	}
	if e, ok := n.(ast.Expr); ok {
		if m := u.message(p.TypesInfo.TypeOf(e)); m != nil {
			u.met[string(m.FullName())] = p.TypesInfo.TypeOf(e)
		}
	}
}

// goName is the name of the type that t is or points to, "" for others.
func goName(t types.Type) string {
	if p, ok := types.Unalias(t).(*types.Pointer); ok {
		t = p.Elem()
	}
	if n, ok := types.Unalias(t).(*types.Named); ok && n.Obj().Pkg() != nil {
		return n.Obj().Pkg().Path() + "." + n.Obj().Name()
	}
	return ""
}

func (u *uses) message(t types.Type) protoreflect.MessageDescriptor { return u.messages[goName(t)] }

// selected notes x.name or x.GetName, of t. What is asked of an interface is
// resolved when all messages are known.
func (u *uses) selected(t types.Type, name string) {
	if t == nil {
		return
	}
	if i, ok := t.Underlying().(*types.Interface); ok && strings.HasPrefix(name, "Get") {
		if u.asked[i] == nil {
			u.asked[i] = map[string]bool{}
		}
		u.asked[i][name] = true
	}
	m := u.message(t)
	if m == nil {
		return
	}
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		if n := plain(string(f.Name())); plain(name) == n || plain(name) == "get"+n {
			u.read[string(f.FullName())] = true
		}
	}
}

func (u *uses) resolve() {
	for i, names := range u.asked {
		for _, t := range u.met {
			if _, ok := t.(*types.Pointer); !ok {
				t = types.NewPointer(t)
			}
			if !types.Implements(t, i) {
				continue
			}
			for name := range names {
				u.selected(t, name)
			}
		}
	}
}

// switched notes that t, which wraps a member of a oneof, is asked for.
func (u *uses) switched(t types.Type) {
	name := goName(t)
	if i := strings.LastIndexByte(name, '.'); i > 0 {
		if f := u.members[name[:i+1]+plain(name[i+1:])]; f != "" {
			u.read[f] = true
		}
	}
}

// called notes what a call of field.Only takes.
func (u *uses) called(p *packages.Package, c *ast.CallExpr) {
	s, ok := c.Fun.(*ast.SelectorExpr)
	if !ok || s.Sel.Name != "Only" || len(c.Args) < 2 {
		return
	}
	if fn, ok := p.TypesInfo.Uses[s.Sel].(*types.Func); !ok || !strings.HasSuffix(fn.Pkg().Path(), "/internal/field") {
		return
	}
	m := u.message(p.TypesInfo.TypeOf(c.Args[1]))
	if m == nil {
		return // a proto.Message: what reads it is looked at as if there were no call
	}
	u.only[string(m.FullName())] = true
	for _, a := range c.Args[2:] {
		u.names(p, m, a)
	}
}

// names notes the constants in an argument of field.Only, and in the package's
// variables that it mentions.
func (u *uses) names(p *packages.Package, m protoreflect.MessageDescriptor, arg ast.Expr) {
	ast.Inspect(arg, func(n ast.Node) bool {
		e, ok := n.(ast.Expr)
		if !ok {
			return true
		}
		if v := p.TypesInfo.Types[e].Value; v != nil && v.Kind() == constant.String {
			u.taken[string(m.FullName())+"."+constant.StringVal(v)] = true
		}
		if id, ok := e.(*ast.Ident); ok {
			for _, i := range p.TypesInfo.InitOrder {
				if i.Lhs[0] == p.TypesInfo.Uses[id] {
					u.names(p, m, i.Rhs)
				}
			}
		}
		return true
	})
}
