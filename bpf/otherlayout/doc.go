// Package otherlayout is weir's eBPF programs with maps of another layout: what
// another version of weir might be. Tests have an agent follow one of the other
// layout (package redirect). Nothing else imports it.
package otherlayout
