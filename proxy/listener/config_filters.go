package listener

import (
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"

	"github.com/weirproxy/weir/internal/field"
)

func (c *compiler) listenerFilters() error {
	ctx := c.context("")
	for i, f := range c.proto.GetListenerFilters() {
		path := c.path.Dot("listener_filters").Index(i)
		if err := field.Only(path, f, "name", "typed_config", "config_discovery", "filter_disabled"); err != nil {
			return err
		}
		filter, err := c.listenerFilter(path, f, ctx)
		if err != nil {
			return err
		}
		disabled, err := compilePredicate(path.Dot("filter_disabled"), f.GetFilterDisabled())
		if err != nil {
			return err
		}
		c.out.filters = append(c.out.filters, conditionalFilter{filter, disabled})
	}
	return nil
}

func (c *compiler) listenerFilter(path field.Path, f *listenerv3.ListenerFilter, ctx *FactoryContext) (Filter, error) {
	if d := f.GetConfigDiscovery(); d != nil {
		return c.discoverFilter(path.Dot("config_discovery"), f.GetName(), d, ctx)
	}
	make, ok := c.factories.Listener[typeURL(f.GetTypedConfig())]
	if !ok {
		return nil, unknown(path, "listener filter", f.GetName(), f.GetTypedConfig())
	}
	return make(path.Dot("typed_config"), f.GetTypedConfig(), ctx)
}

func compilePredicate(path field.Path, p *listenerv3.ListenerFilterChainMatchPredicate) (predicate, error) {
	switch r := p.GetRule().(type) {
	case nil:
		return nil, nil
	case *listenerv3.ListenerFilterChainMatchPredicate_AnyMatch:
		return func(*Socket) bool { return r.AnyMatch }, nil
	case *listenerv3.ListenerFilterChainMatchPredicate_DestinationPortRange:
		from, to := r.DestinationPortRange.GetStart(), r.DestinationPortRange.GetEnd()
		return func(s *Socket) bool {
			port := int32(s.Local.Port())
			return s.Local.AddrPort.IsValid() && port >= from && port < to
		}, nil
	case *listenerv3.ListenerFilterChainMatchPredicate_NotMatch:
		sub, err := compilePredicate(path.Dot("not_match"), r.NotMatch)
		if err != nil || sub == nil {
			return nil, err
		}
		return func(s *Socket) bool { return !sub(s) }, nil
	case *listenerv3.ListenerFilterChainMatchPredicate_AndMatch:
		return compileSet(path.Dot("and_match"), r.AndMatch, false)
	case *listenerv3.ListenerFilterChainMatchPredicate_OrMatch:
		return compileSet(path.Dot("or_match"), r.OrMatch, true)
	}
	return nil, path.Errorf("unknown rule %T", p.GetRule())
}

// compileSet is a predicate whose value is stop as soon as one rule's is.
func compileSet(path field.Path, set *listenerv3.ListenerFilterChainMatchPredicate_MatchSet, stop bool) (predicate, error) {
	var subs []predicate
	for i, r := range set.GetRules() {
		sub, err := compilePredicate(path.Dot("rules").Index(i), r)
		if err != nil {
			return nil, err
		}
		if sub != nil {
			subs = append(subs, sub)
		}
	}
	return func(s *Socket) bool {
		for _, sub := range subs {
			if sub(s) == stop {
				return stop
			}
		}
		return !stop
	}, nil
}
