// Package server turns a bootstrap into a running proxy.
//
// In comes what the command line says ([Options]); [Run] loads the bootstrap,
// makes the loops (main and one for each worker), the statistics, the cluster
// and listener managers, the xDS client and the admin pages, ties them to each
// other, and returns when the process is to end.
//
// Everything that changes configuration runs on the main loop: xDS callbacks
// are posted there, admin pages ask there. Start-up is in Envoy's order:
// static clusters, then CDS; when all clusters are warm, static listeners and
// LDS; the server is live when all listeners that it waits for are warm.
//
// The contract that bites: nothing here is called on a worker except through
// what was posted to it.
package server
