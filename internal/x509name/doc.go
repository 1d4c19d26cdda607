// Package x509name writes X.509 distinguished names as OpenSSL and Envoy do,
// for logs and headers.
package x509name
