// Package x509name reads the names of X.509 certificates: distinguished ones it
// writes as OpenSSL and Envoy do,
// for logs and headers.
package x509name
