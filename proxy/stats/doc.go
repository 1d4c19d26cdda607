// Package stats counts what the proxy does, and prints it as Envoy does.
//
// What comes in: plain structs of [Counter], [Gauge], [Histogram], [Codes] and
// [Text] fields, declared by the packages that count:
//
//	type ListenerStats struct {
//		DownstreamCxTotal    stats.Counter   `stat:"downstream_cx_total"`
//		DownstreamCxActive   stats.Gauge     `stat:"downstream_cx_active"`
//		DownstreamCxLengthMs stats.Histogram `stat:"downstream_cx_length_ms"`
//	}
//
//	group := stats.NewGroup[ListenerStats](store, stats.Scope{Prefix: "listener.0.0.0.0_80."})
//	group.For(worker).DownstreamCxTotal.Inc() // on that worker's goroutine
//
// The tag of a field is the end of its name. With ",omitempty" it is on the
// pages from its first use on, like the statistics that Envoy makes only then.
//
// What goes out: [Store.Snapshot], which the admin interface writes as text,
// JSON or Prometheus exposition, with Envoy's names, order, options and tags.
//
// Who calls it: main makes the [Store] and calls [Store.Flush] every
// stats_flush_interval; listeners, clusters and filters make groups; workers
// count; admin takes snapshots from goroutines of its own.
//
// The contract that bites: nothing here is atomic. An instance returned by
// [Group.For] belongs to one owner (main is 0, worker i is i+1) and is read and
// written only on that owner's goroutine. A snapshot respects it by posting a
// function to every owner, which copies that owner's numbers between two of
// its events; an owner that doesn't run delays the snapshot until its context
// ends. What cannot say which goroutine it is on uses the shared, atomic
// [Store.Counter], [Store.Gauge] and [Store.Text], never on the request path.
package stats
