package secret

import "sync/atomic"

// Generic is a generic secret as it is now. Main replaces it, workers read it.
type Generic struct {
	content atomic.Pointer[content]
	cancel  func()
}

// Fixed is a secret that does not change.
func Fixed(value string) *Generic {
	g := &Generic{}
	g.content.Store(&content{value: value})
	return g
}

// content is one version of a secret.
type content struct {
	value   string
	entries map[string]string
}

// Value is the secret; "" while there is none. A nil Generic has none.
func (g *Generic) Value() string {
	if g == nil {
		return ""
	}
	if c := g.content.Load(); c != nil {
		return c.value
	}
	return ""
}

// Entry is one of the values of a secret that has several; "" when it is not
// there.
func (g *Generic) Entry(name string) string {
	if g == nil {
		return ""
	}
	if c := g.content.Load(); c != nil {
		return c.entries[name]
	}
	return ""
}

// Close ends following the secret, on main. Its value stays. Calls after the
// first do nothing.
func (g *Generic) Close() {
	if g != nil && g.cancel != nil {
		g.cancel()
		g.cancel = nil
	}
}
