package main

import "errors"

// exitError lets a subcommand choose the process's exit code (weir run passes
// on that of its child).
type exitError struct {
	code int
	err  error
}

// Error is empty when the code says it all.
func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// exitCode is the process's exit status for an error returned by a subcommand.
func exitCode(err error) int {
	var e *exitError
	if errors.As(err, &e) {
		return e.code
	}
	return 1
}
