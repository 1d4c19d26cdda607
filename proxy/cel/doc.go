// Package cel evaluates CEL expressions over a stream: Envoy's attributes
// (request.path, response.code, source.address and so on).
//
// What comes in: an expression ([Compile]) and, for each evaluation, what is
// known of a stream ([Input]). What goes out: a value, or that there is none,
// because the expression refers to something that is not there.
//
// Who calls it: access log filters and formats, matchers, on workers.
//
// The contract that bites: an evaluation looks up only what the expression
// asks for, but it allocates; and as in Envoy an expression is not checked
// beyond its syntax, so a misspelt attribute has no value.
package cel
