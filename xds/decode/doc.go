// Package decode reads protobuf messages from JSON and YAML as leniently as
// Envoy's loader does: names in snake_case and camelCase, enums in any case
// or as numbers, numbers as strings, one value for a repeated field, wrappers
// and durations plain or as objects, null for "not set". What is not lenient:
// an unknown field, a field set twice, an unknown type in an Any.
//
// In: a document and an empty message. Out: the message filled, or an [Error]
// with the line and the path of the field. Called by xds/bootstrap for the
// bootstrap, by xds for resource files, by xds/protos for TypedStruct.
//
// How it works: the document is not turned into messages but into wire format
// ([scanner] reads JSON, [transcoder] appends bytes by the descriptors), which
// proto.Unmarshal then reads at once. So no message is built by reflection, an
// Any's content is never built at all, and a large document costs its wire
// size. YAML is rewritten as JSON first; lines are kept for the errors.
//
// The contract that bites: the types inside google.protobuf.Any must be linked
// in. Importing xds/protos does that for all types that weir knows.
package decode
