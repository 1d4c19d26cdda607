package listener

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/ecds"
	"github.com/weirproxy/weir/proxy/network"
)

// discovered is what a version of a filter's configuration makes.
type discovered[F any] struct {
	filter  F
	closers []func()
}

func (d discovered[F]) close() {
	for _, f := range d.closers {
		f()
	}
}

// discover follows the configuration of a filter. compile makes the filter; what it
// leaves to be closed is closed with that version.
func discover[F any](c *compiler, path field.Path, kind, name string, m *corev3.ExtensionConfigSource, ctx *FactoryContext,
	known func(url string) bool, compile func(path field.Path, config *anypb.Any, ctx *FactoryContext) (F, error)) (*ecds.Slot[discovered[F]], error) {
	return ecds.New(path, m, ecds.Options[discovered[F]]{
		Kind: kind, Name: name, Discovery: c.factories.Discovery, Scope: ctx, Loops: append([]*network.Loop{c.server.Main}, c.server.Workers...),
		Known: func(typeName string) bool { return known("type.googleapis.com/" + typeName) },
		Compile: func(path field.Path, config *anypb.Any) (d discovered[F], err error) {
			own := *ctx
			own.closers = &d.closers
			if d.filter, err = compile(path, config, &own); err != nil {
				d.close()
			}
			return d, err
		},
		Close: discovered[F].close,
	})
}

// discoverNetwork makes the factory of a network filter whose configuration
// ECDS brings.
func (c *compiler) discoverNetwork(path field.Path, name string, m *corev3.ExtensionConfigSource, last bool, ctx *FactoryContext) (network.FilterFactory, error) {
	slot, err := discover(c, path, "network_filter", name, m, ctx,
		func(url string) bool { _, ok := c.factories.Network[url]; return ok },
		func(path field.Path, config *anypb.Any, ctx *FactoryContext) (network.FilterFactory, error) {
			nf := c.factories.Network[typeURL(config)]
			if nf.Terminal != last {
				return nil, path.Errorf("filter %q: a terminal filter must be the last of its chain, and the last one terminal", name)
			}
			return nf.New(path, config, ctx)
		})
	if err != nil {
		return nil, err
	}
	missing := &c.out.stats
	return func(cb *network.ReadCallbacks) network.ReadFilter {
		w := cb.Connection().Loop().Worker
		v := slot.Get(w)
		if v == nil {
			(*missing).For(w).NetworkExtensionConfigMissing.Inc()
			return missingFilter{cb}
		}
		v.Hold(w)
		cb.Connection().AddCallbacks(&untilClosed{release: func() { v.Release(w) }})
		return v.Value.filter(cb)
	}, nil
}

// missingFilter closes a connection whose filter has no configuration.
type missingFilter struct{ cb *network.ReadCallbacks }

// OnNewConnection implements network.ReadFilter.
func (f missingFilter) OnNewConnection() network.FilterStatus {
	f.cb.Connection().Close(network.NoFlush)
	return network.StopIteration
}

// OnData implements network.ReadFilter.
func (missingFilter) OnData(*network.Buffer, bool) network.FilterStatus { return network.StopIteration }

// untilClosed lets go of a version with its connection.
type untilClosed struct {
	network.NoWatermarks
	release func()
}

// OnEvent implements network.ConnectionCallbacks.
func (u *untilClosed) OnEvent(ev network.ConnectionEvent) {
	if ev != network.Connected && u.release != nil {
		u.release()
		u.release = nil
	}
}

// discoverFilter makes a listener filter whose configuration ECDS brings.
func (c *compiler) discoverFilter(path field.Path, name string, m *corev3.ExtensionConfigSource, ctx *FactoryContext) (Filter, error) {
	slot, err := discover(c, path, "tcp_listener_filter", name, m, ctx,
		func(url string) bool { return c.factories.Listener[url] != nil },
		func(path field.Path, config *anypb.Any, ctx *FactoryContext) (Filter, error) {
			return c.factories.Listener[typeURL(config)](path, config, ctx)
		})
	return discoveredFilter{slot, c.out}, err
}

type discoveredFilter struct {
	slot *ecds.Slot[discovered[Filter]]
	l    *Listener
}

// Inspect implements Filter.
func (f discoveredFilter) Inspect(s *Socket) Status {
	w := s.Loop().Worker
	if v := f.slot.Get(w); v != nil {
		return v.Value.filter.Inspect(s)
	}
	f.l.stats.For(w).ExtensionConfigMissing.Inc()
	return Close
}
