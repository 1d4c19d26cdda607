// Package proxyprotocol is the listener filter envoy.filters.listener.proxy_protocol:
// it takes the PROXY protocol header (versions 1 and 2) off the start of a
// connection and makes the addresses in it the connection's own. Values of a
// version 2 header's TLVs go to dynamic metadata by configured rules, and on
// to the upstream side by filter state. Listeners make it by [New].
//
// The header decides who the client is, so it is read strictly: what is not
// exactly a header ends the connection.
package proxyprotocol
