// Package doctor looks a node over: what is wrong, in words, and one archive
// with what someone needs who is to find out why.
//
// In: where the agent and the proxy's admin pages are. Out: findings for
// people, and a .tar.gz. `weir doctor` is the caller.
//
// The contract that bites: everything is optional. What cannot be had (no
// agent, no bpftool, a page that does not answer) is told in the archive, as
// NAME.error, and stops nothing. Secrets are not collected: the admin pages
// redact them, what they leave in (credentials in headers and metadata) is
// removed, and neither environments nor files of keys are read.
package doctor
