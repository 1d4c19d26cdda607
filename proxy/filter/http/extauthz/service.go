package extauthz

import "github.com/weirproxy/weir/proxy/grpc/authz"

// service is an authorization server that can be asked.
type service interface {
	// check asks about the filter's request. It returns how to give up.
	check(f *filter) (cancel func())
	// http tells that only some headers are sent unless others are allowed.
	http() bool
}

// verdict is a server's answer.
type verdict struct {
	outcome  authz.Outcome
	request  []change // to the request's headers, when allowed
	remove   []string // lower case
	response []change // to the response's headers
	metadata map[string]any

	querySet    [][2]string
	queryRemove []string

	status int // of the answer, when denied (or failed: 0 for status_on_error)
	body   string
}

type action uint8

const (
	set         action = iota // replaces all lines
	add                       // adds a line
	addIfAbsent               // adds a line unless there is one
	overwrite                 // replaces the lines that there are
	appendTo                  // appends to the line that there is
)

// change is a header to set or to add; name is in lower case.
type change struct {
	name, value string
	action      action
}
