// Package snidynamicforward is the network filter sni_dynamic_forward_proxy:
// a connection waits until the name in its TLS server name indication is
// resolved; tcp_proxy then connects to it, by a dynamic forward proxy cluster
// with the same DNS cache.
//
// The server makes it by [Factory].
package snidynamicforward
