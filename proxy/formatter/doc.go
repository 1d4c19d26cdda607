// Package formatter is Envoy's substitution format strings:
// "%REQ(:PATH)% took %DURATION% ms", as access logs, header mutations and
// local replies use them, and the JSON objects made of such strings.
//
// [Compile] and [CompileJSON] turn the configured text into a [Formatter] once;
// [Formatter.Append] then fills it in from a [Context], which is one stream's
// streaminfo.Info and header maps. The usual operators do not allocate.
//
// Each operator is a small function found by name in the table in
// commands.go; the files beside it hold the operators by topic.
//
// The contract that bites: a Formatter reads configuration that can change
// (the environment, the host's name) once, when it is compiled.
package formatter
