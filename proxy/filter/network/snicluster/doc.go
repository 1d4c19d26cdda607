// Package snicluster is the network filter envoy.filters.network.sni_cluster:
// it has tcp_proxy send a connection to the cluster that is named as the
// server that the TLS client asked for. Listeners make it by [New].
package snicluster
