package listener

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"google.golang.org/protobuf/proto"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/listener/match"
	"github.com/weirproxy/weir/proxy/network"
)

func (c *compiler) chains() (err error) {
	l := c.out
	if c.proto.GetFilterChainMatcher() != nil {
		err = c.chainMatcher()
	} else {
		l.table, err = match.Compile(c.path, c.proto.GetFilterChains())
	}
	if err != nil {
		return err
	}
	for i, p := range c.proto.GetFilterChains() {
		chain, err := c.chain(c.path.Dot("filter_chains").Index(i), p)
		if err != nil {
			return err
		}
		l.chains = append(l.chains, chain)
		if l.matcher != nil {
			l.byName[p.GetName()] = chain
		}
	}
	if p := c.proto.GetDefaultFilterChain(); p != nil {
		l.defaultChain, err = c.chain(c.path.Dot("default_filter_chain"), p)
	}
	return err
}

// kept is the old listener's chain of the same configuration, whose
// connections an update of other chains must not touch.
func (c *compiler) kept(p *listenerv3.FilterChain) *Chain {
	if !c.inPlace {
		return nil
	}
	for i, q := range c.old.proto.GetFilterChains() {
		if proto.Equal(p, q) {
			return c.old.chains[i]
		}
	}
	if d := c.old.proto.GetDefaultFilterChain(); d != nil && proto.Equal(p, d) {
		return c.old.defaultChain
	}
	return nil
}

func (c *compiler) chain(path field.Path, p *listenerv3.FilterChain) (*Chain, error) {
	if err := field.Only(path, p, "filter_chain_match", "filters", "metadata", "transport_socket", "transport_socket_connect_timeout", "name"); err != nil {
		return nil, err
	}
	if chain := c.kept(p); chain != nil {
		c.out.hold(chain)
		return chain, nil
	}
	if d := p.GetTransportSocketConnectTimeout().AsDuration(); d < 0 {
		return nil, path.Dot("transport_socket_connect_timeout").Errorf("%v is negative", d)
	}
	chain := &Chain{name: p.GetName(), connectTimeout: p.GetTransportSocketConnectTimeout().AsDuration(), drain: c.out.drain.child(), on: make([]place, len(c.server.Workers))}
	c.out.hold(chain)
	ctx := c.context(chain.name)
	ctx.Drain, ctx.closers, ctx.ChainMetadata = chain.drain, &chain.closers, metadata(p.GetMetadata())
	for i, f := range p.GetFilters() {
		path := path.Dot("filters").Index(i)
		if err := field.Only(path, f, "name", "typed_config", "config_discovery"); err != nil {
			return nil, err
		}
		filter, err := c.networkFilter(path, f, i == len(p.GetFilters())-1, ctx)
		if err != nil {
			return nil, err
		}
		chain.filters = append(chain.filters, filter)
		chain.clientFirst = c.factories.Network[typeURL(f.GetTypedConfig())].ClientFirst
	}
	return chain, c.transport(path.Dot("transport_socket"), p.GetTransportSocket(), chain, ctx)
}

func (c *compiler) networkFilter(path field.Path, f *listenerv3.Filter, last bool, ctx *FactoryContext) (network.FilterFactory, error) {
	if d := f.GetConfigDiscovery(); d != nil {
		return c.discoverNetwork(path.Dot("config_discovery"), f.GetName(), d, last, ctx)
	}
	nf, ok := c.factories.Network[typeURL(f.GetTypedConfig())]
	switch {
	case !ok:
		return nil, unknown(path, "network filter", f.GetName(), f.GetTypedConfig())
	case nf.Terminal && !last:
		return nil, path.Errorf("terminal filter %q must be the last filter of its chain", f.GetName())
	case last && !nf.Terminal:
		return nil, path.Errorf("filter %q can't be the last filter of its chain: nothing would take the bytes", f.GetName())
	}
	return nf.New(path.Dot("typed_config"), f.GetTypedConfig(), ctx)
}

const rawBuffer = "type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"

func (c *compiler) transport(path field.Path, t *corev3.TransportSocket, chain *Chain, ctx *FactoryContext) (err error) {
	url := typeURL(t.GetTypedConfig())
	if t == nil || url == rawBuffer {
		return nil
	}
	make, ok := c.factories.Transport[url]
	if !ok {
		return unknown(path, "transport socket", t.GetName(), t.GetTypedConfig())
	}
	chain.transport, err = make(path.Dot("typed_config"), t.GetTypedConfig(), ctx)
	return err
}

// onlyChainsDiffer tells whether p can take old's place while its sockets and
// the connections of unchanged chains stay.
func onlyChainsDiffer(old, p *listenerv3.Listener) bool {
	return proto.Equal(withoutChains(old), withoutChains(p))
}

func withoutChains(p *listenerv3.Listener) *listenerv3.Listener {
	p = proto.Clone(p).(*listenerv3.Listener)
	p.FilterChains, p.DefaultFilterChain, p.FilterChainMatcher = nil, nil, nil
	return p
}
