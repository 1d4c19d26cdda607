// Package testbinary builds the programs that tests run as processes.
//
// In: a package of this module. Out: the path of its binary, built once for a
// test process. The packages under test/ are its callers.
//
// The contract that bites: a test package that uses it ends its TestMain with
// [Main] (or calls [Clean]), or binaries of 90 MB pile up in the temporary
// directory.
package testbinary
