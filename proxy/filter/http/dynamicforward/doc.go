// Package dynamicforward is the HTTP filter dynamic_forward_proxy: requests on
// their way to a dynamic forward proxy cluster wait until the name that they
// ask for is resolved.
//
// The cluster finds the host by the same name, in the cache that both share
// (package dnscache).
package dynamicforward
