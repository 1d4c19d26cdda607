// Package basicauth is the HTTP filter envoy.filters.http.basic_auth: it lets
// requests pass whose user and password (RFC 7617) are in a list of htpasswd
// form, and answers 401 to others. A route can have users of its own. The
// connection manager makes filters by [Maker].
package basicauth
