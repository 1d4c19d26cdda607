// Package runtime is Envoy's layered runtime: values by key that override what
// configurations say, changeable while the proxy runs.
//
// What comes in: a bootstrap's layered_runtime ([New]), whose layers are
// static, directories on disk ([Loader.WatchDisk]), the admin interface
// ([Loader.Modify]) and RTDS ([Loader.SetLayer]). What goes out: numbers,
// flags and fractions by key, of which the last layer that has the key decides.
//
// Who calls it: proxy/server makes the Loader and feeds its layers; factories
// keep a Loader, or a [Fraction], [Flag], [Number] or [Integer] that they
// compiled with it, and workers ask those.
//
// The contract that bites: reading is one atomic load and takes the latest
// values, so two reads of one request may disagree: read once and keep it. A
// nil Loader is one without values.
package runtime
