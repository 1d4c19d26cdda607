// Package orca reads the load reports that endpoints put into their responses
// (xds.data.orca.v3.OrcaLoadReport, gRFC A51), for load balancers that weigh
// endpoints by them.
package orca
