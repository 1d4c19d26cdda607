// Package oauth2 is the HTTP filter envoy.filters.http.oauth2: it logs users
// in at an authorization server (RFC 6749 with PKCE, RFC 7636) and keeps the
// tokens in their cookies.
//
// A request without a valid session is redirected to the authorization
// server; cookies of the flow hold a nonce and the code verifier. The server
// sends the user back to redirect_path_matcher with a code, which the filter
// exchanges for tokens; these go into cookies, encrypted, with an HMAC over
// all of them. A request whose cookies are valid passes, with what the
// upstream is not to see removed. Tokens that have expired are refreshed
// while the request waits.
//
// The cookies are Envoy's: both proxies take each other's, if they have the
// same secrets. Everything that a session consists of comes from the client,
// so nothing is believed but what the HMAC covers.
//
// config*.go compile the configuration, filter.go has the decisions, callback.go
// the way back from the authorization server, token.go what is asked of it,
// session.go and chunks.go the cookies, seal.go the cryptography. The
// connection manager makes filters by [Maker].
package oauth2
