// Package buildinfo tells which weir this is. It is printed by --version and
// shown on /server_info.
package buildinfo

import "runtime/debug"

// version is set by the Makefile through -ldflags.
var version = "dev"

// Version is weir's version, e.g. "0.1.0" or "dev".
func Version() string { return version }

// Revision is the VCS revision of the build, or "unknown".
func Revision() string {
	if bi, ok := debug.ReadBuildInfo(); ok {
		for _, s := range bi.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return "unknown"
}
