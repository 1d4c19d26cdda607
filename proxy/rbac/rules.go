package rbac

import (
	"net/netip"
	"strings"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/matcher/tree"
	"github.com/weirproxy/weir/proxy/network"
)

func always(*tree.Data, Metadata) bool { return true }

func not(r rule) rule { return func(d *tree.Data, m Metadata) bool { return !r(d, m) } }
func and(rs []rule) rule {
	return func(d *tree.Data, m Metadata) bool { return allOf(rs, d, m) }
}
func or(rs []rule) rule {
	return func(d *tree.Data, m Metadata) bool { return anyOf(rs, d, m) }
}

func header(m matcher.Header) rule {
	return func(d *tree.Data, _ Metadata) bool { return d.RequestHeaders != nil && m.Match(d.RequestHeaders) }
}

// urlPath looks at the path without query and fragment.
func urlPath(match func(path string) bool) rule {
	return func(d *tree.Data, _ Metadata) bool {
		if d.RequestHeaders == nil {
			return false
		}
		path := d.RequestHeaders.Get(http.Path)
		if i := strings.IndexAny(path, "?#"); i >= 0 {
			path = path[:i]
		}
		return match(path)
	}
}

// within looks whether one of the data's addresses is in a range.
func within(r netip.Prefix, of func(*tree.Data) network.Address) rule {
	return func(d *tree.Data, _ Metadata) bool { return r.Contains(of(d).Addr().Unmap()) }
}

func local(d *tree.Data) network.Address        { return d.Local }
func remote(d *tree.Data) network.Address       { return d.Remote }
func directRemote(d *tree.Data) network.Address { return d.DirectRemote }

// ports are those from start up to, without, end.
func ports(start, end int) rule {
	return func(d *tree.Data, _ Metadata) bool {
		port := int(d.Local.Port())
		return d.Local.IsValid() && start <= port && port < end
	}
}

func dynamicMetadata(m matcher.Metadata) rule {
	return func(d *tree.Data, _ Metadata) bool { return m.Match(d.Metadata) }
}

func routeMetadata(m matcher.Metadata) rule {
	return func(_ *tree.Data, route Metadata) bool { return m.Match(route) }
}

func filterState(m matcher.FilterState) rule {
	return func(d *tree.Data, _ Metadata) bool { return m.Match(d.FilterState) }
}

func serverName(m matcher.String) rule {
	return func(d *tree.Data, _ Metadata) bool { return m.Match(d.ServerName) }
}

// anyone holds for every TLS connection.
func anyone(d *tree.Data, _ Metadata) bool { return d.TLS != nil }

// named looks at the peer certificate's URI names, its DNS names and its
// subject.
func named(m matcher.String) rule {
	return func(d *tree.Data, _ Metadata) bool {
		if d.TLS == nil {
			return false
		}
		for _, name := range d.TLS.URISANsPeer() {
			if m.Match(name) {
				return true
			}
		}
		for _, name := range d.TLS.DNSSANsPeer() {
			if m.Match(name) {
				return true
			}
		}
		return m.Match(d.TLS.SubjectPeer())
	}
}
