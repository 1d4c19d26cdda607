// Package credentials is the HTTP filter
// envoy.filters.http.credential_injector: it gives requests a credential that
// the client need not know. The credential is a secret (generic), or an access
// token that the proxy gets for itself at an authorization server by client
// credentials (oauth2, RFC 6749 section 4.4). The connection manager makes
// filters by [Maker].
//
// A token is fetched before anybody asks, by one worker for all, and again
// after half of its life.
package credentials
