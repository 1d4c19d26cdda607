// Package oauth is what clients of OAuth authorization servers (RFC 6749)
// have in common: how their requests are encoded, and what a token response
// says. The HTTP filters oauth2 and credential_injector use it; it knows
// nothing of connections.
package oauth
