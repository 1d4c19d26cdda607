package xds

import "time"

// Stats is where a subscription or a stream counts. Names are Envoy's without
// the prefix that the owner puts in front ("cluster_manager.cds.",
// "cluster.NAME."): the package proxy/stats is adapted to it by proxy/server. Called on the main goroutine only.
type Stats interface {
	// Declare has counters shown before they count.
	Declare(counters ...string)
	Inc(counter string)
	Set(gauge string, value uint64)
	SetText(name, value string)
	// Took records how long the owner took for an update (update_duration).
	Took(time.Duration)
	// Close says that the subscription has ended: its statistics go, unless
	// another one has the same.
	Close()
}

// What is counted. Of a subscription:
const (
	statAttempt     = "update_attempt"
	statSuccess     = "update_success"
	statFailure     = "update_failure"  // connection lost, file unreadable
	statRejected    = "update_rejected" // bad resources
	statInitTimeout = "init_fetch_timeout"
	statVersion     = "version"      // gauge: xxhash64 of the version
	statVersionText = "version_text" // text
	statUpdateTime  = "update_time"  // gauge: Unix milliseconds
)

// subscriptionCounters are those of every subscription.
var subscriptionCounters = []string{statAttempt, statSuccess, statFailure, statRejected, statInitTimeout}

// Of a stream:
const (
	statConnected  = "control_plane.connected_state" // gauge: 1 or 0
	statIdentifier = "control_plane.identifier"      // text: who the server says that it is

	statPending = "control_plane.pending_requests"    // gauge: 0, as requests wait for nothing
	statLimited = "control_plane.rate_limit_enforced" // requests that had to wait: none
)

// noStats is used where the owner gave none.
type noStats struct{}

func (noStats) Declare(...string)      {}
func (noStats) Inc(string)             {}
func (noStats) Set(string, uint64)     {}
func (noStats) SetText(string, string) {}
func (noStats) Took(time.Duration)     {}
func (noStats) Close()                 {}

func orNoStats(s Stats) Stats {
	if s == nil {
		return noStats{}
	}
	return s
}
