// Package protos links the protobuf types that a configuration may contain
// and opens google.protobuf.Any fields for the factories.
//
// In: an Any at a field path. Out: the message in it, validated by the rules in
// its proto (protoc-gen-validate), or an error that names the field. Called by
// the config.go files of proxy/… with [Unpack]; xds validates top-level
// resources with [Validate]. Does not import gRPC.
package protos
