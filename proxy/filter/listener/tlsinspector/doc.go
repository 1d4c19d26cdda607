// Package tlsinspector is the listener filter envoy.filters.listener.tls_inspector:
// it reads the ClientHello of a TLS connection, without consuming it, for the
// server name and the application protocols that the client asks for. What is
// not TLS passes unmarked. Listeners make it by [New].
package tlsinspector
