// Package bootstrap loads the proxy's bootstrap from the places that Envoy's
// flags name.
//
// In: [Options], one field a flag. Out: a validated Bootstrap, or an error that
// names file, line and field. Called by proxy/server at start, and by
// --mode validate. The types inside Any fields are checked to be known and
// their fields to exist; their content is validated when a factory opens them
// (xds/protos.Unpack).
package bootstrap
