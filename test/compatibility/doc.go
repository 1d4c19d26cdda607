// Package compatibility keeps the table of Envoy's extensions in
// docs/compatibility.md true: every extension that go-control-plane knows has
// a row, and a row says yes, or partly, exactly where weir's code knows the
// extension.
//
//	go test ./test/compatibility            # check
//	go test ./test/compatibility -update    # write the table anew
package compatibility
