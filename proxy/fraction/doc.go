// Package fraction is shares of requests that the runtime can change: the
// RuntimeFractionalPercent, FractionalPercent and RuntimeFeatureFlag messages
// of filters' configurations, compiled.
//
// A protobuf goes in, on main, together with the [Runtime] that may override
// it; out comes a small value whose Picks or On is called on workers and
// allocates nothing.
package fraction
