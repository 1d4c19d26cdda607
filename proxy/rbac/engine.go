package rbac

import (
	"strings"

	"github.com/weirproxy/weir/proxy/cel"
	"github.com/weirproxy/weir/proxy/matcher/tree"
)

// action is what a policy's match means.
type action uint8

const (
	allow action = iota
	deny
	logOnly // never denies; marks what matched for the access log
)

// Verdict is an engine's decision.
type Verdict struct {
	Allowed bool
	Policy  string // the policy or action that decided, "" for none
	// Name is Policy as dynamic metadata has it, made once.
	Name any
	// LogHint is what "access_log_hint" in the metadata of "envoy.common" is
	// to be, when Hint is true.
	Hint, LogHint bool
}

// Details tells in logs which policy denied.
func (v Verdict) Details() string {
	if v.Policy == "" {
		return "rbac_access_denied_matched_policy[none]"
	}
	return "rbac_access_denied_matched_policy[" + strings.Map(func(c rune) rune {
		if c == ' ' || '\t' <= c && c <= '\r' {
			return '_'
		}
		return c
	}, v.Policy) + "]"
}

// Result is how dynamic metadata names the decision: a constant, which becomes
// an any without an allocation.
func (v Verdict) Result() any {
	if v.Allowed {
		return "allowed"
	}
	return "denied"
}

// Engine is compiled rules. It is immutable.
type Engine struct {
	action   action
	policies []policy // by name
	tree     *tree.Tree[treeAction]
	treeLogs bool     // an action of the tree is to log
	names    []string // of the policies or actions
}

// treeAction is an rbac.Action.
type treeAction struct {
	name   string
	boxed  any // the name
	action action
}

// Check decides. d must hold all that is known, and for HTTP the headers.
func (e *Engine) Check(d *tree.Data, route Metadata) Verdict {
	if e.tree != nil {
		return e.checkTree(d)
	}
	v, matched := Verdict{}, false
	for i := range e.policies {
		if p := &e.policies[i]; p.match(d, route) {
			v.Policy, v.Name, matched = p.name, p.boxed, true
			break
		}
	}
	switch e.action {
	case allow:
		v.Allowed = matched
	case deny:
		v.Allowed = !matched
	case logOnly:
		v.Allowed, v.Hint, v.LogHint = true, true, matched
	}
	return v
}

func (e *Engine) checkTree(d *tree.Data) Verdict {
	a, r := e.tree.Match(d)
	if r != tree.Matched {
		return Verdict{}
	}
	return Verdict{Allowed: a.action != deny, Policy: a.name, Name: a.boxed, Hint: e.treeLogs, LogHint: a.action == logOnly}
}

// Names are the policies or actions that can decide.
func (e *Engine) Names() []string { return e.names }

// Metadata is a route's configured metadata, by namespace.
type Metadata = map[string]map[string]any

// policy matches what one of its permissions and one of its principals match.
type policy struct {
	name        string
	boxed       any // the name
	permissions []rule
	principals  []rule
	condition   *cel.Program // nil: none
}

func (p *policy) match(d *tree.Data, route Metadata) bool {
	return anyOf(p.permissions, d, route) && anyOf(p.principals, d, route) && (p.condition == nil || d.Holds(p.condition))
}

// rule is a compiled Permission or Principal.
type rule func(d *tree.Data, route Metadata) bool

func anyOf(rs []rule, d *tree.Data, route Metadata) bool {
	for _, r := range rs {
		if r(d, route) {
			return true
		}
	}
	return false
}

func allOf(rs []rule, d *tree.Data, route Metadata) bool {
	for _, r := range rs {
		if !r(d, route) {
			return false
		}
	}
	return true
}
