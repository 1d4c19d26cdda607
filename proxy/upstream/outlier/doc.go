// Package outlier is passive health checking: hosts whose requests end badly
// are taken out of load balancing for a while (Envoy's outlier detection).
//
// Workers count in each host's cluster.Monitor and tell main of too many
// consecutive errors; the cluster's [Detector] on main decides what becomes of
// the host, looks at success rates every interval and lets hosts back in. It
// changes a host's FailedOutlierCheck flag and tells the cluster manager, which
// gives the workers new host sets.
//
// The contract that bites: a report may arrive after its host has gone.
package outlier
