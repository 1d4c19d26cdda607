// Package httprig runs HTTP connection managers for tests: listeners as of
// listenerrig, clusters, and the filters of proxy/filter, over real sockets
// and in this process. Tests of the manager, of the router and of HTTP
// filters use it.
package httprig
