// Package field names places in a configuration and refuses what weir does
// not do there.
//
// Every package that turns a protobuf into a compiled structure (its
// config.go) calls [Only] first, with the fields that it reads: any other
// field that is set becomes an error that names its path. So no field is ever
// read over in silence, and adding support for one means adding its name.
package field
