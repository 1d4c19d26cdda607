// Package ecds holds what is made of configurations of extensions (filters)
// that xDS brings one by one (ECDS) and that may change at any time.
//
// What comes in: an ExtensionConfigSource, and how a configuration is compiled
// ([New]); from then on the updates of a [Discovery], on main. What goes out:
// for each worker the value in use ([Slot.Get]).
//
// Who calls it: the factories of filters; proxy/server is the Discovery.
//
// The contract that bites: who uses a [Version] for longer than one call holds
// it ([Version.Hold], [Version.Release]), on its worker: a version that was
// replaced is closed when nobody holds it any more.
package ecds
