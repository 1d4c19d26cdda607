package dnsfilter

import (
	"net/netip"
	"time"

	datav3 "github.com/envoyproxy/go-control-plane/envoy/data/dns/v3"
	dnsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/udp/dns_filter/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/datasource"
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/xds/decode"
	"github.com/weirproxy/weir/xds/protos"
)

// TypeURL is the type of the filter's configuration.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.udp.dns_filter.v3.DnsFilterConfig"

// Table is what the configuration says of names.
type Table struct{ Names []Name }

// Name has Addresses, or those of the endpoints of Cluster, or neither: then it
// is a host of the mesh as those of virtual hosts are.
type Name struct {
	Name      string
	Addresses []netip.Addr
	Cluster   string
	TTL       time.Duration
}

// defaultTTL is Envoy's.
const defaultTTL = 300 * time.Second

// Factory makes the filter's factory. take is told of a table on main, leave
// when no listener has it any more; name is the listener whose tables count.
func Factory(name string, take, leave func(*Table)) listener.UDPFactory {
	return func(path field.Path, config *anypb.Any, ctx *listener.FactoryContext) (listener.UDPFilterFactory, error) {
		switch {
		case ctx.Listener != name:
			return nil, path.Errorf("weir answers DNS for pods only: the listener must be called %q (--dns-listener)", name)
		case ctx.Bound:
			return nil, path.Errorf("weir answers DNS for pods only, by the agent's sockets: set the listener's bind_to_port to false")
		}
		t, err := compile(path, config)
		if err != nil {
			return nil, err
		}
		take(t)
		ctx.OnClose(func() { leave(t) })
		return nil, nil
	}
}

func compile(path field.Path, config *anypb.Any) (*Table, error) {
	p := &dnsv3.DnsFilterConfig{}
	if err := protos.Unpack(path, config, p); err != nil {
		return nil, err
	}
	// The statistics are those of the node's DNS, at dns., whatever the prefix.
	if err := field.Only(path, p, "stat_prefix", "server_config"); err != nil {
		return nil, err
	}
	server, path := p.GetServerConfig(), path.Dot("server_config")
	source := server.GetExternalDnsTable()
	if source == nil {
		return compileTable(path.Dot("inline_dns_table"), server.GetInlineDnsTable())
	}
	path = path.Dot("external_dns_table")
	text, err := datasource.Read(path, source)
	if err != nil {
		return nil, err
	}
	table := &datav3.DnsTable{}
	if err := decode.Unmarshal([]byte(text), decode.YAML, table); err != nil {
		return nil, path.Wrap(err)
	}
	return compileTable(path, table)
}

func compileTable(path field.Path, p *datav3.DnsTable) (*Table, error) {
	if err := field.Only(path, p, "virtual_domains"); err != nil {
		return nil, err
	}
	t := &Table{}
	for i, d := range p.GetVirtualDomains() {
		path := path.Dot("virtual_domains").Index(i)
		n := Name{Name: d.GetName(), TTL: defaultTTL}
		if d.GetAnswerTtl() != nil {
			n.TTL = d.GetAnswerTtl().AsDuration()
		}
		e, path := d.GetEndpoint(), path.Dot("endpoint")
		if err := field.Only(path, e, "address_list", "cluster_name"); err != nil {
			return nil, err
		}
		n.Cluster = e.GetClusterName()
		for j, text := range e.GetAddressList().GetAddress() {
			addr, err := netip.ParseAddr(text)
			if err != nil {
				return nil, path.Dot("address_list").Dot("address").Index(j).Errorf("%q is not an address", text)
			}
			n.Addresses = append(n.Addresses, addr.Unmap())
		}
		t.Names = append(t.Names, n)
	}
	return t, nil
}
